"""MADE: strict triangularity by gradient and by masks, sums to one, samples follow log_prob."""

import math

import pytest
import torch
from nets import seeded
from torch import nn

from minigen import data
from minigen.made import MADE, MaskedMLP, hidden_degrees, mask_between

OUTPUTS = {
    "bernoulli": {},
    "categorical": {"output": "categorical", "levels": 3},
    "gaussian": {"output": "gaussian"},
}


def make(kind: str = "bernoulli", dim: int = 5, hidden=(16, 12), orders=1, seed: int = 0) -> MADE:
    """A MADE with large random weights, in double precision: nothing is zero by chance."""
    made = MADE(dim, hidden, orders=orders, generator=seeded(seed), **OUTPUTS[kind]).double()
    for weight in made.parameters():
        nn.init.normal_(weight, std=0.7, generator=seeded(seed + 1))
    return made


def every(dim: int, levels: int = 2) -> torch.Tensor:
    """All `levels`^`dim` vectors."""
    return torch.cartesian_prod(*[torch.arange(levels)] * dim).reshape(-1, dim)


def gradient(made: MADE, order: int = 0) -> torch.Tensor:
    """|d out_d / d code_j| summed over a coordinate's numbers, (D, D), through the real network."""
    code = torch.randn(made.dim * made.inputs, generator=seeded(3)).double()
    jacobian = torch.autograd.functional.jacobian(
        lambda c: made.network(c[None], order=order)[0].flatten(), code
    )
    blocks = jacobian.abs().reshape(made.dim, made.outputs, made.dim, made.inputs)
    return blocks.sum((1, 3))


def in_order(matrix: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """Rows and columns as the ordering visits them."""
    return matrix[order][:, order]


# ---------------------------------------------------------------- who sees whom


@pytest.mark.parametrize("kind", OUTPUTS)
@pytest.mark.parametrize(
    "dim, hidden", [(1, (4,)), (2, (3,)), (5, (16,)), (6, (24, 24)), (4, (2,))]
)
def test_strictly_triangular_by_gradient_and_by_masks(kind, dim, hidden):
    made = make(kind, dim, hidden, orders=3)
    for m, order in enumerate(made.orders):
        for matrix in (gradient(made, m), made.connections(m)):
            ordered = in_order(matrix, order)
            assert torch.equal(ordered, ordered.tril(-1))


@pytest.mark.parametrize("kind", OUTPUTS)
def test_every_earlier_coordinate_is_seen(kind):
    """Masks that cut too much would pass the test above."""
    made = make(kind, 6, (20, 20), orders=2)
    below = torch.ones(6, 6).tril(-1) > 0
    for m, order in enumerate(made.orders):
        without_direct = made.connections(m) - torch.ones(6, 6).double()  # at least one other path
        assert (in_order(without_direct, order)[below] > 0).all()
        assert (in_order(gradient(made, m), order)[below] > 1e-6).all()


def test_the_conditionals_do_not_move_with_what_comes_later():
    made = make(dim=6, orders=2)
    x = torch.randint(2, (20, 6), generator=seeded(5))
    for m, order in enumerate(made.orders):
        for place in range(6):
            changed = x.clone()
            changed[:, order[place:]] = 1 - changed[:, order[place:]]
            before, after = made(x, m), made(changed, m)
            assert torch.equal(before[:, order[: place + 1]], after[:, order[: place + 1]])


def test_degrees_and_masks_are_those_of_the_paper():
    assert hidden_degrees(7, 4).tolist() == [1, 2, 3, 1, 2, 3, 1]
    made = MADE(4, (7, 300), generator=seeded())
    assert [degrees.tolist() for degrees in made.degrees] == [
        [1, 2, 3, 1, 2, 3, 1],
        [1, 2, 3] * 100,
    ]
    widest = [layer.weight.abs().max().item() for layer in made.layers]
    assert widest == pytest.approx([4**-0.5, 7**-0.5, 300**-0.5], rel=0.1)
    m = mask_between(torch.tensor([1, 2, 3]), torch.tensor([1, 2]))
    assert m.tolist() == [[1, 0, 0], [1, 1, 0]]
    assert mask_between(torch.tensor([1, 2]), torch.tensor([1, 2, 3]), strict=True).tolist() == [
        [0, 0],
        [1, 0],
        [1, 1],
    ]


class Leaky(MADE):
    """The planted mistake: >= into the output, so that coordinate d sees itself."""

    def masks(self, order=0):
        place = torch.empty_like(self.orders[order])
        place[self.orders[order]] = torch.arange(1, self.dim + 1)
        masks = super().masks(order)
        degrees = hidden_degrees(self.hidden[0], self.dim)
        outputs = place.repeat_interleave(self.outputs)
        masks[-2] = mask_between(degrees, outputs).to(masks[-2])
        return masks


def test_a_mask_that_leaks_the_diagonal_is_caught_three_ways():
    made = Leaky(5, (16,), generator=seeded()).double()
    for weight in made.parameters():
        nn.init.normal_(weight, std=1.5, generator=seeded(1))
    assert gradient(made).diagonal()[:4].min() > 0
    assert made.connections().diagonal()[:4].min() > 0
    assert abs(made.log_prob(every(5)).exp().sum().item() - 1) > 0.05


# ---------------------------------------------------------------- the network alone


def normal(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=seeded(seed))


def masked_net(order=None, hidden=(16, 16), context_dim=0) -> MaskedMLP:
    net = MaskedMLP(5, 2, hidden, context_dim, order and [order]).double()
    generator = torch.Generator().manual_seed(0)
    for weight in net.parameters():
        nn.init.normal_(weight, generator=generator)
    return net


ORDERS = [None, [4, 3, 2, 1, 0], [2, 0, 4, 1, 3]]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("hidden", [(16,), (16, 16), (10, 20, 15)])
@pytest.mark.parametrize("context_dim", [0, 3])
def test_parameters_see_strictly_earlier_inputs_by_mask_product_and_by_gradient(
    order, hidden, context_dim
):
    net = masked_net(order, hidden, context_dim)
    place = torch.argsort(torch.tensor(order or range(5)))
    earlier = place[:, None] > place  # [i, j]: j comes before i
    product = torch.eye(5).double()
    for mask in net.masks():
        product = mask @ product
    paths = product.reshape(5, 2, 5)
    assert torch.equal(paths > 0, earlier[:, None].expand(5, 2, 5)), "all of the past, nothing else"
    context = normal(context_dim) if context_dim else None
    seen = torch.zeros(5, 2, 5)
    for seed in range(40):  # a ReLU that is off hides a path: look at several points
        seen += (
            torch.autograd.functional.jacobian(
                lambda x: net(x, context), normal(5, seed=seed)
            ).abs()
            > 0
        )
    assert torch.equal(seen > 0, earlier[:, None].expand(5, 2, 5))
    if context_dim:  # every output follows the context, the first one too
        other = net(normal(5), normal(context_dim, seed=2))
        assert (net(normal(5), context) != other).all()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("hidden", [(16,), (3, 2), (7, 20, 9)])
@pytest.mark.parametrize("context_dim", [0, 3])
def test_step_by_step_evaluation_equals_one_pass(order, hidden, context_dim):
    net = masked_net(order, hidden, context_dim)
    x = normal(6, 5)
    context = normal(6, context_dim) if context_dim else None
    step, value = net.steps(6, context), None
    for i in order or range(5):
        assert torch.allclose(step(value), net(x, context)[:, i], atol=1e-12)
        value = x[:, i : i + 1]


def test_a_repr_says_what_is_connected():
    assert (
        repr(MaskedMLP(3, 2, (8,), orders=[[2, 0, 1]]))
        == "MaskedMLP(3, 2, hidden=(8,), order=2 0 1)"
    )
    assert "order=0 1 2; " in repr(MADE(3, (8,), orders=2)) and "bernoulli" in repr(MADE(3, (8,)))


# ---------------------------------------------------------------- densities


@pytest.mark.parametrize("kind, levels", [("bernoulli", 2), ("categorical", 3)])
@pytest.mark.parametrize("dim", [1, 2, 5])
@pytest.mark.parametrize("orders", [1, 4])
def test_sums_to_one(kind, levels, dim, orders):
    made = make(kind, dim, orders=orders)
    for order in (None, *range(orders)):
        total = made.log_prob(every(dim, levels), order).exp().sum().item()
        assert abs(total - 1) < 1e-10


def test_gaussian_integrates_to_one():
    made = make("gaussian", 2, (8,), orders=2)
    with torch.no_grad():
        for weight in made.parameters():
            weight.mul_(0.4)
    axis = torch.linspace(-15, 15, 601).double()
    grid = torch.cartesian_prod(axis, axis)
    for order in (None, 0, 1):
        density = made.log_prob(grid, order).exp().reshape(601, 601)
        total = torch.trapezoid(torch.trapezoid(density, axis), axis).item()
        assert abs(total - 1) < 1e-3


def test_the_conditionals_are_those_of_the_joint():
    """p(x_d | before) from sums over the enumerated joint, against the network's own output."""
    made = make(dim=4, orders=torch.tensor([[2, 0, 3, 1]]))
    x = every(4)
    joint = made.log_prob(x).exp()
    for row, got in zip(x, made.conditionals(x), strict=True):
        for place, d in enumerate([2, 0, 3, 1]):
            before = [2, 0, 3, 1][:place]
            match = (x[:, before] == row[before]).all(1)
            want = joint[match & (x[:, d] == row[d])].sum() / joint[match].sum()
            assert math.isclose(got[d].exp().item(), want.item(), rel_tol=1e-9)


def test_torch_has_the_same_densities():
    x = torch.randn(6, 4, generator=seeded(2)).double()
    made = make("gaussian", 4)
    mean, log_scale = made(x).unbind(-1)
    want = torch.distributions.Normal(mean, log_scale.clamp(min=-7).exp()).log_prob(x).sum(-1)
    assert torch.allclose(made.log_prob(x), want, atol=1e-10)
    bits = (x > 0).double()
    floor = MADE(4, (8,), "gaussian", min_log_scale=0.1, generator=seeded()).double()
    mean, log_scale = floor(x).unbind(-1)
    want = torch.distributions.Normal(mean, log_scale.clamp(min=0.1).exp()).log_prob(x).sum(-1)
    assert torch.allclose(floor.log_prob(x), want, atol=1e-10) and (log_scale < 0.1).any()
    made = make("bernoulli", 4)
    want = torch.distributions.Bernoulli(logits=made(bits)[..., 0]).log_prob(bits).sum(-1)
    assert torch.allclose(made.log_prob(bits), want, atol=1e-10)
    made = make("categorical", 4)
    want = torch.distributions.Categorical(logits=made(bits)).log_prob(bits).sum(-1)
    assert torch.allclose(made.log_prob(bits), want, atol=1e-10)


def test_extreme_logits_stay_finite():
    made = make("bernoulli", 3)
    with torch.no_grad():
        made.layers[-1].bias.fill_(-800.0)
    assert torch.isfinite(made.log_prob(torch.ones(1, 3))).all()
    assert made.log_prob(torch.ones(1, 3)).item() < -1000


# ---------------------------------------------------------------- ensembles


def test_an_ensemble_averages_probabilities():
    made = make(dim=6, orders=5)
    x = every(6)
    each = torch.stack([made.log_prob(x, m) for m in range(5)])
    assert torch.allclose(made.log_prob(x).exp(), each.exp().mean(0), atol=1e-12)
    assert each.std(0).max() > 0.1, "the orderings agree: this test proves nothing"


def test_the_two_wrong_averages_do_not_sum_to_one():
    """Averaged log-probabilities sum to less; averaged logits of the conditionals to anything."""
    made = make(dim=6, orders=5, seed=4)
    x = every(6)
    logs = torch.stack([made.log_prob(x, m) for m in range(5)]).mean(0)
    assert logs.exp().sum().item() < 0.95
    logits = torch.stack([made(x, m) for m in range(5)]).mean(0)
    total = made.likelihood.log_prob(logits, x).sum(-1).exp().sum().item()
    assert abs(total - 1) > 0.05


# ---------------------------------------------------------------- samples


@pytest.mark.parametrize("kind, levels", [("bernoulli", 2), ("categorical", 3)])
@pytest.mark.parametrize("orders", [1, 3])
def test_samples_follow_log_prob(kind, levels, orders):
    made, n = make(kind, 3, orders=orders), 30_000
    cells = every(3, levels)
    weights = levels ** torch.arange(2, -1, -1)
    for order in (None, orders - 1):  # the mixture, and the last of its orderings alone
        x = made.sample((n,), order, seeded(7))
        counts = torch.bincount((x * weights).sum(1), minlength=len(cells))
        p = made.log_prob(cells, order).exp()
        z = (counts / n - p) / (p * (1 - p) / n).sqrt()
        assert z.abs().max() < 4.5


def test_gaussian_samples_follow_log_prob():
    """Standardised by the conditionals they must be white."""
    made = make("gaussian", 3, (8,), orders=torch.tensor([[1, 2, 0]]))
    with torch.no_grad():
        for weight in made.parameters():
            weight.mul_(0.4)
    x = made.sample((20_000,), generator=seeded(4))
    mean, log_scale = made(x).unbind(-1)
    z = (x - mean) / log_scale.clamp(min=-7).exp()
    assert z.mean(0).abs().max() < 0.03
    assert (torch.cov(z.T) - torch.eye(3)).abs().max() < 0.04


def test_sampling_takes_a_network_pass_for_each_coordinate():
    made = make(dim=7)
    calls = []
    network = made.network
    made.network = lambda *a, **k: calls.append(1) or network(*a, **k)
    made.sample((3,), generator=seeded())
    assert len(calls) == 7
    calls.clear()
    made.log_prob(torch.ones(3, 7))
    assert len(calls) == 1


@pytest.mark.parametrize("kind", OUTPUTS)
@pytest.mark.parametrize("shape", [(), (4,), (2, 3), (0,)])
def test_shapes(kind, shape):
    assert make(kind).sample(shape).shape == (*shape, 5)


def test_nothing_global_is_seeded():
    torch.manual_seed(5)
    want = torch.rand(1)
    torch.manual_seed(5)
    made = make(dim=4, orders=3)
    torch.manual_seed(5)
    made.sample((2,), generator=seeded())
    assert torch.equal(torch.rand(1), want)


def test_the_generator_decides_weights_and_orderings():
    one, same = (MADE(5, orders=3, generator=seeded(2)).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    other = MADE(5, orders=3, generator=seeded(3)).state_dict()
    assert not torch.equal(one["layers.1.weight"], other["layers.1.weight"])


def test_saved_and_loaded_it_is_the_same_density():
    made = make(dim=5, orders=3)
    copy = make(dim=5, orders=3, seed=9)
    copy.load_state_dict(made.state_dict())
    assert torch.equal(copy.log_prob(every(5)), made.log_prob(every(5)))


# ---------------------------------------------------------------- input


@pytest.mark.parametrize(
    "x, error, message",
    [
        (torch.zeros(5), ValueError, r"\(B, 5\)"),
        (torch.zeros(2, 4), ValueError, r"\(B, 5\)"),
        (torch.zeros(0, 5), ValueError, "B > 0"),
        (torch.full((1, 5), 0.5), ValueError, "other values than 0 … 1"),
        (torch.full((1, 5), 2.0), ValueError, "0 … 1"),
        (torch.full((1, 5), math.nan), ValueError, "NaN"),
    ],
)
def test_bad_bits_are_refused(x, error, message):
    with pytest.raises(error, match=message):
        make("bernoulli").log_prob(x)


def test_bad_numbers_are_refused():
    with pytest.raises(ValueError, match="NaN"):
        make("gaussian").log_prob(torch.full((1, 5), math.nan))
    with pytest.raises(TypeError, match="floating"):
        make("gaussian").log_prob(torch.zeros(1, 5, dtype=torch.long))
    with pytest.raises(ValueError, match="0 … 2"):
        make("categorical").log_prob(torch.full((1, 5), 3))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"dim": 0}, "dim >= 1"),
        ({"dim": 3, "hidden": ()}, "hidden"),
        ({"dim": 3, "output": "poisson"}, "choose one of"),
        ({"dim": 3, "output": "categorical", "levels": 1}, "levels >= 2"),
        ({"dim": 3, "orders": 0}, "at least one ordering"),
        ({"dim": 3, "orders": torch.tensor([[0, 1, 1]])}, "permutation"),
        ({"dim": 3, "orders": torch.zeros(0, 3, dtype=torch.long)}, "permutations as rows"),
    ],
)
def test_bad_settings_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        MADE(**arguments)


def test_an_unknown_order_is_refused():
    with pytest.raises(ValueError, match="orders 0 … 1"):
        make(orders=2).log_prob(torch.zeros(1, 5), order=2)


# ---------------------------------------------------------------- it learns


def train(made: MADE, x: torch.Tensor, steps: int, rate: float, batch: int = 64) -> float:
    """The loss of the last step."""
    generator = seeded(1)
    optimizer = torch.optim.AdamW(made.parameters(), lr=rate)
    for _ in range(steps):
        loss = -made.log_prob(x[torch.randint(len(x), (batch,), generator=generator)]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def test_it_learns_a_distribution_with_a_known_entropy():
    """Bits of which the third is the exclusive or of two: log p must reach -2 log 2."""
    x = every(2)
    x = torch.cat([x, (x[:, :1] ^ x[:, 1:])], 1)
    made = MADE(3, (32,), generator=seeded())
    train(made, x, 100, 0.05)
    assert 2 * math.log(2) <= -made.log_prob(x).mean().item() < 2 * math.log(2) + 0.02


def test_digits_are_learned_in_seconds():
    """In 200 steps to within two nats of what the full recipe reaches on the test part (16.6)."""
    digits = data.digits()
    bits = torch.tensor(digits.images >= 8).float()
    made = MADE(64, (256,), dropout=0.5, generator=seeded())
    torch.manual_seed(0)
    train(made, bits[digits.split["train"]], 200, 1e-2)
    assert -made.eval().log_prob(bits[digits.split["test"]]).mean().item() < 18.6


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.long])
def test_pixels_may_be_of_any_whole_type(dtype):
    made, x = make("bernoulli", dim=4), every(4)
    assert torch.equal(made.log_prob(x.to(dtype)), made.log_prob(x.double()))


def test_dropout_is_for_training_only():
    made, x = MADE(6, (64,), dropout=0.5, generator=seeded()), torch.ones(3, 6)
    assert not torch.equal(made.train().log_prob(x), made.log_prob(x))
    assert torch.equal(made.eval().log_prob(x), made.log_prob(x))


@pytest.mark.parametrize("count", [1, 3, 4])
def test_a_repr_counts_the_orders_that_it_does_not_show(count):
    made = MADE(3, (4,), orders=torch.tensor([[0, 1, 2]] * count))
    shown = repr(made).split("order=")[1]
    assert shown.count("0 1 2") == min(count, 3) and ("… 4 in all" in shown) == (count == 4)
