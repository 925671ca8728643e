"""The roofline: hand arithmetic, the factors of a separable layer, and measurements that can be believed."""

import pytest

keras = pytest.importorskip("keras")

from mammolib.analysis import roofline as roofs  # noqa: E402
from mammolib.analysis.cost import LayerCost, factor_costs, layer_costs  # noqa: E402
from mammolib.ssd.model import ssd256  # noqa: E402

MACHINE = roofs.Machine("by hand", rate=100.0, bandwidth=10.0)


@pytest.fixture(scope="module")
def models():
    return {kind: ssd256(width=1 / 16, separable=kind == "separable") for kind in ("plain", "separable")}


def test_the_roof_bends_where_both_limits_meet():
    assert MACHINE.ridge == 10
    assert [MACHINE.roof(x) for x in (1, 10, 1000)] == [10, 100, 100]
    assert MACHINE.seconds(200, 10) == 2  # 200 operations at 100 a second; 10 bytes take 1
    assert MACHINE.seconds(200, 50) == 5  # now the bytes are the limit


def test_the_least_time_of_a_batch_reads_the_parameters_once():
    cost = LayerCost("c", "Conv2D", parameters=5, flops=600, values=10, output=(1, 1, 1))
    assert roofs.least_seconds(MACHINE, [cost], images=2) == 12
    assert roofs.least_seconds(MACHINE, [cost], images=2, training=True) == 36
    slow = roofs.Machine("slow memory", 100.0, 1.0)
    assert roofs.least_seconds(slow, [cost, cost], images=2) == 2 * 4 * (5 + 2 * 10), "one after the other"


def test_the_factors_of_a_separable_layer_add_up_to_it(models):
    apart = factor_costs(models["separable"])
    for cost in layer_costs(models["separable"]):
        own = [c for c in apart if c.name.split("/")[0] == cost.name]
        assert len(own) == (2 if cost.kind == "SeparableConv2D" else 1)
        for what in ("parameters", "flops", "values"):
            assert sum(getattr(c, what) for c in own) == getattr(cost, what), (cost.name, what)
        assert own[-1].output == cost.output
    depthwise = next(c for c in apart if c.name == "conv1_1/depthwise")
    assert (depthwise.parameters, depthwise.flops, depthwise.values) == (27, 2 * 9 * 3 * 256**2, 2 * 3 * 256**2)
    assert factor_costs(models["plain"]) == layer_costs(models["plain"])


def test_the_depthwise_factors_have_next_to_nothing_to_compute():
    cost = roofs.totals(ssd256(separable=True))
    assert cost["depthwise operations"] / cost["operations"] == pytest.approx(0.0355, abs=1e-4)
    assert cost["depthwise bytes"] / cost["bytes"] == pytest.approx(0.40, abs=0.005)


def test_layers_are_timed_alone_and_set_beside_the_prediction(models):
    before = [w.path for w in models["plain"].weights]
    found = roofs.measure_layers(models, ["conv3_2", "fc7"], 1, MACHINE, repeat=1)
    kinds = ("plain", "separable", "depthwise alone")
    assert [(w.name, w.kind) for w in found] == [(name, kind) for name in ("conv3_2", "fc7") for kind in kinds]
    plain, _, alone = found[:3]
    assert plain.flops == 2 * 64**2 * 16 * 9 * 16
    assert plain.moved == 4 * (16 * 9 * 16 + 16 + 2 * 64**2 * 16)
    assert plain.intensity > MACHINE.ridge and plain.predicted == plain.flops / MACHINE.rate
    assert (alone.flops, alone.moved) == (2 * 64**2 * 9 * 16, 4 * (9 * 16 + 2 * 64**2 * 16))
    assert all(w.seconds > 0 and w.rate == w.flops / w.seconds for w in found)
    assert [w.path for w in models["plain"].weights] == before, "timing a layer leaves its model as it was"


def test_a_network_is_timed_forward_and_in_training():
    model = ssd256(width=1 / 16)
    forward, step = (roofs.measure_network(model, "plain", 1, MACHINE, t, repeat=1) for t in (False, True))
    assert (forward.name, step.name) == ("forward pass", "training step")
    assert step.flops == 3 * forward.flops and step.moved == 3 * forward.moved
    assert step.predicted == pytest.approx(3 * forward.predicted)


def test_tables_set_both_kinds_beside_each_other():
    plain = roofs.Work("a", "plain", 1000, 10, 12.0, 10.0)
    light = roofs.Work("a", "separable", 100, 20, 3.0, 2.0)
    alone = roofs.Work("b", "plain", 1000, 10, 12.0)
    table = roofs.compare([plain, light, alone])
    assert table.loc[("a", "plain"), "measured / predicted"] == 1.2
    assert table.loc[("a", "separable"), "operations a byte"] == 5
    shares = roofs.shares([plain, light, alone])
    assert shares.to_dict("index") == {
        "a": {"operations": 0.1, "bytes": 2.0, "time, predicted": 0.2, "time, measured": 0.25}
    }


def test_this_machine_has_rates_that_a_machine_can_have():
    assert 1e8 < roofs.bandwidth() < 1e14
