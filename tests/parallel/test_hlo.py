"""What is read off XLA's text: shapes, who runs what, and how often."""

import jax
import jax.numpy as jnp
import pytest

from jaxtrain.errors import DataError
from jaxtrain.parallel.hlo import Hlo, bytes_of, shapes_of

TEXT = """\
HloModule jit_step, entry_computation_layout={(f32[4]{0})->f32[4]{0}}, num_partitions=8

%body.1 (arg.1: (s32[], f32[4])) -> (s32[], f32[4]) {
  %arg.1 = (s32[], f32[4]{0}) parameter(0)
  %n.1 = s32[] get-tuple-element(%arg.1), index=0
  %x.1 = f32[4]{0:T(4)} get-tuple-element(%arg.1), index=1
  %double.1 = f32[4]{0} fusion(%x.1), calls=%fused.1, metadata={op_name="jit(step)/a(b)"}
  %one.1 = s32[] constant(1)
  %next.1 = s32[] add(%n.1, %one.1)
  ROOT %tuple.1 = (s32[], /*index=1*/f32[4]{0}) tuple(%next.1, /*index=1*/%double.1)
}

%fused.1 (p.1: f32[4]) -> f32[4] {
  %p.1 = f32[4]{0} parameter(0)
  ROOT %add.1 = f32[4]{0} add(f32[4]{0} %p.1, f32[4]{0} %p.1)
}

%cond.1 (arg.2: (s32[], f32[4])) -> pred[] {
  %arg.2 = (s32[], f32[4]{0}) parameter(0)
  %n.2 = s32[] get-tuple-element(%arg.2), index=0
  %bound.1 = s32[] constant(5)
  ROOT %less.1 = pred[] compare(%n.2, %bound.1), direction=LT
}

%never.1 (p.2: f32[4]) -> f32[4] {
  ROOT %p.2 = f32[4]{0} parameter(0)
}

ENTRY %main.1 (x.2: f32[4]) -> f32[4] {
  %x.2 = f32[4]{0} parameter(0)
  %zero.1 = s32[] constant(0)
  %begin.1 = (s32[], f32[4]{0}) tuple(%zero.1, %x.2)
  %loop.1 = (s32[], f32[4]{0}) while(%begin.1), condition=%cond.1, body=%body.1
  ROOT %end.1 = f32[4]{0} get-tuple-element(%loop.1), index=1
}
"""
# What is run stands before what runs it.
ORDERED = TEXT.replace(TEXT[TEXT.index("%body.1 (") : TEXT.index("%fused.1 (")], "").replace(
    "%cond.1 (arg", TEXT[TEXT.index("%body.1 (") : TEXT.index("%fused.1 (")] + "%cond.1 (arg"
)


def test_a_text_is_read():
    hlo = Hlo.of(ORDERED)
    assert (hlo.entry, hlo.devices) == ("main.1", 8)
    lines = {line.name: line for line in hlo}
    assert "p.2" not in lines, "nobody runs it"
    assert lines["double.1"].opcode == "fusion"
    assert lines["double.1"].op_name == "jit(step)/a(b)"
    assert lines["double.1"].named("calls") == ("fused.1",)
    assert lines["tuple.1"].operands == ("next.1", "double.1")
    assert lines["tuple.1"].is_root
    assert not lines["n.1"].is_root
    assert lines["add.1"].operands == ("p.1", "p.1")
    assert lines["loop.1"].bytes == 20
    assert [one.name for one in hlo.operands(lines["tuple.1"])] == ["next.1", "double.1"]
    assert [one.name for one in hlo.users(lines["p.1"])] == ["add.1"]
    assert hlo.fused == {"fused.1"}


def test_a_loop_counts_by_its_condition_or_by_what_is_noted():
    hlo = Hlo.of(ORDERED)
    assert [hlo.times(name) for name in ("main.1", "body.1", "fused.1", "never.1")] == [1, 5, 5, 0]
    assert [hlo.times_at_first(name) for name in ("body.1", "fused.1")] == [1, 1]
    noted = 'body=%body.1, backend_config={"known_trip_count":{"n":"7"}}'
    assert Hlo.of(ORDERED.replace("body=%body.1", noted)).times("fused.1") == 7
    assert hlo.unknown_loops == 0


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("direction=LT", "direction=GT"),
        ("constant(5)", "add(%n.2, %n.2)"),
        (" compare(", " and("),
        ("constant(0)", "constant(2)"),
        ("constant(1)", "constant(3)"),
        ("add(%n.1, %one.1)", "multiply(%n.1, %one.1)"),
        ("compare(%n.2,", "compare(%bound.1,"),
    ],
)
def test_a_loop_of_unknown_length_counts_once_and_is_told(was, now):
    hlo = Hlo.of(ORDERED.replace(was, now))
    assert hlo.times("fused.1") == 1
    assert hlo.unknown_loops == 1


@pytest.mark.parametrize(
    ("type_", "arrays", "size"),
    [
        ("f32[]", [("f32", ())], 4),
        ("bf16[3,5]{1,0:T(8,128)(2,1)}", [("bf16", (3, 5))], 30),
        ("pred[7]", [("pred", (7,))], 7),
        ("s4[3]", [("s4", (3,))], 2),
        ("f8e4m3fn[10]", [("f8e4m3fn", (10,))], 10),
        ("c64[2]", [("c64", (2,))], 16),
        ("s32[<=4,2]", [("s32", (4, 2))], 32),
        ("token[]", [], 0),
        ("((f32[2], u8[1]), ())", [("f32", (2,)), ("u8", (1,))], 9),
    ],
)
def test_types(type_, arrays, size):
    assert shapes_of(type_) == arrays
    assert bytes_of(type_) == size


def test_what_is_no_program_is_refused():
    with pytest.raises(DataError, match="expected a module of XLA's, with an ENTRY; found 'hello'"):
        Hlo.of("hello")
    with pytest.raises(DataError, match="expected an instruction of XLA's"):
        Hlo.of(ORDERED.replace("parameter(0)", "parameter(0"))


def test_loops_within_loops_and_calls_from_two_places_of_a_real_program():
    @jax.jit
    def step(x, ws):
        inner = lambda x, w: (jnp.sin(x @ w), None)  # noqa: E731
        outer = lambda x, _: (jax.lax.scan(inner, x, ws)[0], None)  # noqa: E731
        x = jax.lax.scan(outer, x, None, length=3)[0]
        return jax.lax.while_loop(lambda x: x.sum() < 9, lambda x: x + jnp.sin(x @ ws[0]), x)

    lowered = step.lower(jnp.ones([4, 4]), jnp.ones([5, 4, 4]))
    for text in (lowered.as_text("hlo"), lowered.compile()):
        hlo = Hlo.of(text)
        products = [hlo.times(line.computation) for line in hlo if line.opcode == "dot"]
        assert sorted(products) == [1, 15]
        assert hlo.unknown_loops == 1
