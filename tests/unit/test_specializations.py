"""Specializations inside of classes become constrained templates."""

from __future__ import annotations

import pytest

from ascend_ops.emulator.bisheng.specializations import constrain_specializations

# What is in the class, and what becomes of it.
REWRITTEN = {
    "function of a number": (
        "template <int c = 0> void run(int x);\ntemplate <>\nvoid run<kFirst>(int x) {}",
        "template <int c = 0> void run(int x);\n"
        "template <int c = 0> requires(c == (kFirst))\nvoid run(int x) {}",
    ),
    "operator": (
        "template <int c> __aicore__ void operator()(P const& p);\n"
        "template <> __aicore__ void operator()<N::k>(P const& p) {}",
        "template <int c> __aicore__ void operator()(P const& p);\n"
        "template <int c> requires(c == (N::k)) __aicore__ void operator()(P const& p) {}",
    ),
    "type and number": (
        "template <class T, bool b> T get() { return {}; }\n"
        "template <> float get<float, true>() { return 1; }",
        "template <class T, bool b> T get() { return {}; }\n"
        "template <class T, bool b> requires(std::is_same_v<T, float> && b == (true)) "
        "float get() { return 1; }",
    ),
    "class": (
        "template <class T = int> struct Helper {};\ntemplate <> struct Helper<void> {};",
        "template <class T = int> struct Helper {};\n"
        "template <class T> requires(std::is_same_v<T, void>) struct Helper<T> {};",
    ),
    "lines": (
        "template <\n  int c\n> void run();\ntemplate\n<\n>\nvoid run<\n1\n>() {}",
        "template <\n  int c\n> void run();\ntemplate\n<int c> requires(c == (1))\n\n"
        "void run\n\n() {}",
    ),
}
KEPT = {
    "namespace": "template <class T> struct P; namespace n { template <> struct P<int> {}; }",
    "function body": "void f() { template <> g<int>(); }",
    "deduced": "struct P { template <class T> void f(T x); template <> void f<int>(int x) {} };",
    "unknown primary": "struct P : Q { template <> void f<int>() {} };",
    "pack": "struct P { template <class... T> void f(); template <> void f<int>() {} };",
    "default argument": "struct P { template <class T, int c = 1> void f(); "
    "template <> void f<int>() {} };",
    "comment": "struct P { template <int c> void f(); /* template <> void f<1>() {} */ };",
}


@pytest.mark.parametrize("name", REWRITTEN)
@pytest.mark.parametrize("around", ["struct P {%s};", "template <class U> class P : Q<U> {%s};"])
def test_a_specialization_is_constrained(name: str, around: str) -> None:
    before, after = REWRITTEN[name]
    assert constrain_specializations(around % before) == around % after


@pytest.mark.parametrize("name", KEPT)
def test_other_text_is_kept(name: str) -> None:
    assert constrain_specializations(KEPT[name]) == KEPT[name]
