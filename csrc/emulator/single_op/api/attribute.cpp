// Attributes of single-operator calls.
#include "emulator/single_op/objects/handles.h"

namespace {

aclError set_text(aclopAttr* attribute, const char* name, std::string text) {
    attribute->values.texts[name] = std::move(text);
    return 0;
}

aclError set_number(aclopAttr* attribute, const char* name, double number) {
    attribute->values.numbers[name] = number;
    return 0;
}

}  // namespace

aclopAttr* aclopCreateAttr() { return new aclopAttr; }
void aclopDestroyAttr(const aclopAttr* attribute) { delete attribute; }
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
    attribute->values.lists[name].assign(values, values + count);
    return 0;
}
aclError aclopSetAttrListBool(aclopAttr* attribute, const char* name, int count,
                              const uint8_t* values) {
    attribute->values.lists[name].assign(values, values + count);
    return 0;
}
// No kernel reads such a list yet; for one that does, the values would have to be stored here.
aclError aclopSetAttrListFloat(aclopAttr* attribute, const char* name, int count,
                               const float* values) {
    (void)values;
    return set_text(attribute, name, "a list of " + std::to_string(count) + " floats");
}
aclError aclopSetAttrListListInt(aclopAttr* attribute, const char* name, int count,
                                 const int* counts, const int64_t* const values[]) {
    (void)counts;
    (void)values;
    return set_text(attribute, name, "a list of " + std::to_string(count) + " lists");
}
