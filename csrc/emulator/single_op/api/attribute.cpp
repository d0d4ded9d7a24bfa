// Attributes of single-operator calls.
#include "emulator/single_op/objects/handles.h"

using namespace ascend_emulator;

namespace {

/// Call `set` with the values of a live attribute.
template <class Set>
aclError set_attribute(aclopAttr* attribute, const char* name, Set set) {
    return guarded([&] {
        int refused = check_handle(attribute);
        refused = refused != 0 ? refused : check_pointer(name, "attrName");
        if (refused == 0) {
            set(attribute->values);
        }
        return refused;
    });
}

aclError set_text(aclopAttr* attribute, const char* name, const char* text) {
    if (const int refused = check_pointer(text, "attrValue")) {
        return refused;
    }
    return set_attribute(attribute, name, [&](SingleOpCall& call) { call.texts[name] = text; });
}

aclError set_number(aclopAttr* attribute, const char* name, double number) {
    return set_attribute(attribute, name, [&](SingleOpCall& call) { call.numbers[name] = number; });
}

int check_list(int count, const void* values) {
    if (count < 0) {
        return services().fail(ACL_ERROR_INVALID_PARAM,
                               "numValues must not be negative, got " + std::to_string(count));
    }
    return count == 0 ? 0 : check_pointer(values, "values");
}

template <class T>
aclError set_list(aclopAttr* attribute, const char* name, int count, const T* values) {
    if (const int refused = check_list(count, values)) {
        return refused;
    }
    return set_attribute(attribute, name, [&](SingleOpCall& call) {
        call.lists[name].assign(values, values + count);
    });
}

}  // namespace

aclopAttr* aclopCreateAttr() {
    return guarded_pointer([] { return make_handle<aclopAttr>(); });
}
void aclopDestroyAttr(const aclopAttr* attribute) {
    if (attribute != nullptr && check_handle(attribute) == 0) {
        destroy_handle(attribute);
    }
}
aclError aclopSetAttrBool(aclopAttr* attribute, const char* name, uint8_t value) {
    return set_number(attribute, name, value);
}
aclError aclopSetAttrInt(aclopAttr* attribute, const char* name, int64_t value) {
    return set_number(attribute, name, static_cast<double>(value));
}
aclError aclopSetAttrFloat(aclopAttr* attribute, const char* name, float value) {
    return set_number(attribute, name, value);
}
aclError aclopSetAttrDataType(aclopAttr* attribute, const char* name, aclDataType value) {
    return set_number(attribute, name, value);
}
aclError aclopSetAttrString(aclopAttr* attribute, const char* name, const char* value) {
    return set_text(attribute, name, value);
}
aclError aclopSetAttrListInt(aclopAttr* attribute, const char* name, int count,
                             const int64_t* values) {
    return set_list(attribute, name, count, values);
}
aclError aclopSetAttrListBool(aclopAttr* attribute, const char* name, int count,
                              const uint8_t* values) {
    return set_list(attribute, name, count, values);
}
aclError aclopSetAttrListFloat(aclopAttr* attribute, const char* name, int count,
                               const float* values) {
    if (const int refused = check_list(count, values)) {
        return refused;
    }
    return set_attribute(attribute, name, [&](SingleOpCall& call) {
        call.number_lists[name].assign(values, values + count);
    });
}
aclError aclopSetAttrListListInt(aclopAttr* attribute, const char* name, int count,
                                 const int* counts, const int64_t* const values[]) {
    const void* given = counts == nullptr ? nullptr : static_cast<const void*>(values);
    if (const int refused = check_list(count, given)) {
        return refused;
    }
    for (int i = 0; i < count; ++i) {
        if (const int refused = check_list(counts[i], values[i])) {
            return refused;
        }
    }
    return set_attribute(attribute, name, [&](SingleOpCall& call) {
        auto& lists = call.lists_of_lists[name];
        lists.clear();
        for (int i = 0; i < count; ++i) {
            lists.emplace_back(values[i], values[i] + counts[i]);
        }
    });
}
