// Shape, Stride, Layout and Coord: where an element of a tensor with several axes lies. An axis may
// have axes of its own, and a number may be known at compile time (Std::Int).
#pragma once

#include <tuple>
#include <type_traits>
#include <utility>

#include "ascendc/scalar.h"

namespace aicore {

template <class T>
struct IsTuple : std::false_type {};
template <class... Ts>
struct IsTuple<std::tuple<Ts...>> : std::true_type {};

template <class T>
struct IsConstant : std::false_type {};
template <class T, T value>
struct IsConstant<std::integral_constant<T, value>> : std::true_type {};

/// Apply a function to two numbers. If both are constants, the result is one as well.
template <class Function, class A, class B>
constexpr auto computed(Function function, const A& a, const B& b) {
    if constexpr (IsConstant<A>::value && IsConstant<B>::value) {
        return AscendC::Std::Int<static_cast<std::size_t>(function(A::value, B::value))>{};
    } else {
        return function(a, b);
    }
}
constexpr auto plus = [](auto x, auto y) { return x + y; };
constexpr auto times = [](auto x, auto y) { return x * y; };
constexpr auto quotient_of = [](auto x, auto y) { return x / y; };
constexpr auto rest_of = [](auto x, auto y) { return x % y; };

/// The number of elements of axes `axis` and behind.
template <std::size_t axis = 0, class Shape>
constexpr auto elements_of_shape(const Shape& shape) {
    if constexpr (!IsTuple<Shape>::value) {
        static_assert(std::is_integral_v<Shape> || IsConstant<Shape>::value,
                      "the axes of a Shape must be integers or Std::Int");
        return shape;
    } else if constexpr (axis == std::tuple_size_v<Shape>) {
        return AscendC::Std::Int<1>{};
    } else {
        return computed(times, elements_of_shape(std::get<axis>(shape)),
                        elements_of_shape<axis + 1>(shape));
    }
}

/// The place of a coordinate, from axis `axis` on. One number for several axes counts their
/// elements, those of the first axis fastest; the last axis takes what is left.
template <std::size_t axis = 0, class Coordinate, class Shape, class Stride>
constexpr auto place_of(const Coordinate& coordinate, const Shape& shape, const Stride& stride) {
    static_assert(IsTuple<Shape>::value == IsTuple<Stride>::value,
                  "a Shape and its Stride must have the same axes");
    if constexpr (!IsTuple<Shape>::value) {
        static_assert(!IsTuple<Coordinate>::value, "a Coord must have the axes of the Shape");
        return computed(times, coordinate, stride);
    } else {
        constexpr std::size_t axes = std::tuple_size_v<Shape>;
        static_assert(axes == std::tuple_size_v<Stride>,
                      "a Shape and its Stride must have the same number of axes");
        if constexpr (axis == axes) {
            return AscendC::Std::Int<0>{};
        } else if constexpr (IsTuple<Coordinate>::value) {
            static_assert(axes == std::tuple_size_v<Coordinate>,
                          "a Coord must have as many axes as the Shape");
            return computed(
                plus,
                place_of(std::get<axis>(coordinate), std::get<axis>(shape), std::get<axis>(stride)),
                place_of<axis + 1>(coordinate, shape, stride));
        } else if constexpr (axis + 1 == axes) {
            return place_of(coordinate, std::get<axis>(shape), std::get<axis>(stride));
        } else {
            const auto size = elements_of_shape(std::get<axis>(shape));
            return computed(
                plus,
                place_of(computed(rest_of, coordinate, size), std::get<axis>(shape),
                         std::get<axis>(stride)),
                place_of<axis + 1>(computed(quotient_of, coordinate, size), shape, stride));
        }
    }
}

}  // namespace aicore

namespace AscendC {

template <class... Axes>
using Shape = Std::tuple<Axes...>;
template <class... Axes>
using Stride = Std::tuple<Axes...>;
template <class... Axes>
using Coord = Std::tuple<Axes...>;

template <class... Axes>
constexpr Shape<Axes...> MakeShape(const Axes&... axes) {
    return {axes...};
}
template <class... Axes>
constexpr Stride<Axes...> MakeStride(const Axes&... axes) {
    return {axes...};
}
template <class... Axes>
constexpr Coord<Axes...> MakeCoord(const Axes&... axes) {
    return {axes...};
}

/// The place of a coordinate, in elements.
template <class Coordinate, class ShapeType, class StrideType>
constexpr auto Crd2Idx(const Coordinate& coord, const ShapeType& shape, const StrideType& stride) {
    return aicore::place_of(coord, shape, stride);
}

/// The lengths of a tensor's axes, and the elements from one index of each to the next.
template <class ShapeType, class StrideType>
struct Layout : private Std::tuple<ShapeType, StrideType> {
    static_assert(aicore::IsTuple<ShapeType>::value && aicore::IsTuple<StrideType>::value,
                  "Layout: the shape and the stride must be tuples");

    constexpr explicit(false) Layout(const ShapeType& shape = {}, const StrideType& stride = {})
        : Std::tuple<ShapeType, StrideType>(shape, stride) {}
    constexpr decltype(auto) layout() { return *this; }
    constexpr decltype(auto) layout() const { return *this; }
    constexpr decltype(auto) GetShape() {
        return std::get<0>(static_cast<Std::tuple<ShapeType, StrideType>&>(*this));
    }
    constexpr decltype(auto) GetShape() const {
        return std::get<0>(static_cast<const Std::tuple<ShapeType, StrideType>&>(*this));
    }
    constexpr decltype(auto) GetStride() {
        return std::get<1>(static_cast<Std::tuple<ShapeType, StrideType>&>(*this));
    }
    constexpr decltype(auto) GetStride() const {
        return std::get<1>(static_cast<const Std::tuple<ShapeType, StrideType>&>(*this));
    }
    template <class Coordinate>
    constexpr auto operator()(const Coordinate& coord) const {
        return Crd2Idx(coord, GetShape(), GetStride());
    }
};

template <class ShapeType, class StrideType>
constexpr auto MakeLayout(const ShapeType& shape, const StrideType& stride) {
    return Layout<ShapeType, StrideType>(shape, stride);
}
template <class Coordinate, class ShapeType, class StrideType>
constexpr auto Crd2Idx(const Coordinate& coord, const Layout<ShapeType, StrideType>& layout) {
    return layout(coord);
}

template <class T>
struct is_layout : Std::false_type {};
template <class ShapeType, class StrideType>
struct is_layout<Layout<ShapeType, StrideType>> : Std::true_type {};
template <class T>
constexpr bool is_layout_v = is_layout<T>::value;

}  // namespace AscendC
