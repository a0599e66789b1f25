"""The quantiser held to brute force, to closed forms and to scikit-learn."""

import math
from collections import Counter
from itertools import product

import numpy as np
import pytest
import torch
from nets import seeded
from sklearn.cluster import KMeans
from torch import nn

from minigen import data, vq
from minigen.mixture import kmeans
from minigen.train import TrainConfig, Trainer

DTYPES = (torch.float32, torch.float64)


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


def quantizer(codes: int = 5, dim: int = 3, started: bool = True, **options):
    """In double precision; `started` keeps it from choosing its codes by k-means."""
    made = vq.VectorQuantizer(codes, dim, **options).double()
    made.initialised.fill_(started)
    return made


# ---------------------------------------------------------------- straight through


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_straight_through_gradient_is_one_and_the_value_is_the_codes(dtype):
    z = (1e3 * noise(4, 3, dtype=dtype)).requires_grad_()
    e = noise(4, 3, seed=1, dtype=dtype).requires_grad_()
    out = vq.straight_through(z, e)
    assert torch.equal(out, e)  # exactly, not z + (e - z) with its rounding
    weight = noise(4, 3, seed=2, dtype=dtype)
    to_z, to_e = torch.autograd.grad((weight * out).sum(), (z, e), allow_unused=True)
    assert torch.equal(to_z, weight) and to_e is None


@pytest.mark.parametrize("ema", [True, False])
def test_a_layers_jacobian_is_the_identity(ema):
    layer = quantizer(ema=ema).eval()
    z = noise(1, 3, 2)
    jacobian = torch.autograd.functional.jacobian(lambda x: layer(x).z, z).reshape(6, 6)
    assert torch.equal(jacobian, torch.eye(6).double())


# ---------------------------------------------------------------- the nearest code, and the losses


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offset", [0.0, 3000.0])
def test_nearest_codes_are_those_of_brute_force(dtype, offset):
    """Far from the origin, where |z|² - 2 z·e + |e|² has lost its digits in float32, too."""
    layer = vq.VectorQuantizer(17, 4).to(dtype).eval()
    layer.codebook.add_(offset)
    z = offset + noise(6, 4, 3, 2, dtype=dtype)
    got = layer(z)
    for place in product(range(6), range(3), range(2)):
        b, i, j = place
        vector = z[b, :, i, j].double()
        distances = [(vector - code.double()).square().sum().item() for code in layer.codebook]
        assert got.codes[place] == int(np.argmin(distances))
        assert torch.equal(got.z[b, :, i, j], layer.codebook[got.codes[place]])
    assert torch.equal(layer.nearest(z), got.codes)
    assert torch.equal(layer.embed(got.codes), got.z)


def test_losses_are_the_formulas_and_each_moves_one_side():
    layer = quantizer(ema=False).eval()
    z = noise(2, 3, 4).requires_grad_()
    out = layer(z)
    squares = (z - layer.embed(out.codes)).square().sum(1).mean()
    assert torch.allclose(out.codebook_loss, squares) and torch.allclose(
        out.commitment_loss, squares
    )
    to_z, to_codes = torch.autograd.grad(
        out.codebook_loss, (z, layer.codebook), retain_graph=True, allow_unused=True
    )
    assert to_z is None
    wanted = torch.zeros(5, 3).double()
    for vector, code in zip(z.movedim(1, -1).reshape(-1, 3), out.codes.flatten(), strict=True):
        wanted[code] += 2 * (layer.codebook[code] - vector).detach() / 8
    assert torch.allclose(to_codes, wanted)
    to_z, to_codes = torch.autograd.grad(
        out.commitment_loss, (z, layer.codebook), allow_unused=True
    )
    assert to_codes is None and torch.allclose(to_z, 2 * (z - out.z).detach() / 8)


def test_the_decoders_gradient_reaches_the_encoder_and_not_the_codes():
    """Without stop-gradient in the codebook loss or with a gradient into e, this fails."""
    torch.manual_seed(0)  # no unit of the encoder is dead
    model = vq.VQVAE.for_images(codebook_size=4, embedding_dim=2, hidden=4, ema=False)
    x = torch.rand(8, 1, 8, 8, generator=seeded())
    model(x)  # starts the codes
    out = model(x)
    (out.x - x).square().mean().backward()
    assert all(w.grad is not None and w.grad.abs().sum() > 0 for w in model.encoder.parameters())
    assert model.quantizer.codebook.grad is None


def test_with_moving_averages_codes_are_no_parameters():
    assert not list(vq.VectorQuantizer(4, 2, ema=True).parameters())
    assert len(list(vq.VectorQuantizer(4, 2, ema=False).parameters())) == 1


# ---------------------------------------------------------------- moving averages


def test_moving_averages_equal_their_closed_form():
    """N and m after n steps, from the whole history of vectors and codes."""
    decay, epsilon, k = 0.9, 0.05, 5
    layer = quantizer(k, decay=decay, smoothing=epsilon, restart=False)
    counts, sums = decay**6 * layer.counts.clone(), decay**6 * layer.sums.clone()
    for step in range(6):
        z = noise(2, 3, 7, seed=step)
        codes = layer(z).codes.flatten()
        weight = decay ** (5 - step) * (1 - decay)
        for vector, code in zip(z.movedim(1, -1).reshape(-1, 3), codes, strict=True):
            counts[code] += weight
            sums[code] += weight * vector
    assert torch.allclose(layer.counts, counts) and torch.allclose(layer.sums, sums)
    total = counts.sum()
    smoothed = (counts + epsilon) / (total + k * epsilon) * total
    assert torch.allclose(layer.codebook, sums / smoothed[:, None])
    assert torch.allclose(layer.smoothed_counts().sum(), total)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_step_without_memory_is_a_round_of_k_means():
    z = noise(1, 3, 200)
    points = z[0].T.numpy()
    layer = quantizer(decay=0.0, smoothing=1e-12, restart=False)
    start = layer.codebook.numpy().copy()
    for rounds in (1, 2, 3):
        layer(z)
        settings = {"n_clusters": 5, "n_init": 1, "algorithm": "lloyd", "tol": 0}
        peer = KMeans(init=start, max_iter=rounds, **settings).fit(points)
        # scikit-learn's centres after r rounds, before its last relabelling
        assert np.allclose(layer.codebook, peer.cluster_centers_, atol=1e-9)


def test_with_memory_codes_settle_where_k_means_does():
    z = noise(1, 3, 300)
    layer = quantizer(decay=0.8, smoothing=1e-9, restart=False)
    start = layer.codebook.numpy().copy()
    for _ in range(150):
        layer(z)
    codes = layer.nearest(z)[0]
    for code in codes.unique():  # a fixed point of k-means: every code is the mean of its vectors
        assert torch.allclose(layer.codebook[code], z[0].T[codes == code].mean(0), atol=1e-6)
    peer = KMeans(5, init=start, n_init=1).fit(z[0].T.numpy())
    mine = (z - layer.embed(codes[None])).square().sum().item()
    assert mine <= 1.1 * peer.inertia_


def test_laplace_smoothing_survives_a_code_without_vectors():
    layer = quantizer(decay=0.0, smoothing=1e-3, restart=False)
    layer(torch.zeros(1, 3, 4).double())  # one code takes all, four have a count of 0
    assert torch.isfinite(layer.codebook).all() and (layer.counts == 0).sum() == 4


def test_nothing_moves_in_evaluation():
    layer = quantizer().eval()
    before = {k: v.clone() for k, v in layer.state_dict().items()}
    layer(noise(2, 3, 9))
    layer.train().nearest(noise(2, 3, 9))
    assert all(torch.equal(v, before[k]) for k, v in layer.state_dict().items())


# ---------------------------------------------------------------- starts and restarts


def test_with_fewer_different_vectors_than_codes_they_stay_where_they_are():
    layer = quantizer(4, 2, started=False)
    before = layer.codebook.clone()
    layer.initialise(torch.tensor([[0.0, 0.0], [1.0, 1.0]]).repeat(10, 1).double())
    assert not layer.initialised and torch.equal(layer.codebook, before)


def test_the_first_batch_starts_the_codes_and_too_small_a_batch_does_not():
    layer = quantizer(5, started=False)
    layer(noise(1, 3, 4))
    assert not layer.initialised
    z = 50 + noise(4, 3, 20)
    out = layer(z)
    assert layer.initialised and vq.usage(out.codes, 5).used == 5
    assert out.commitment_loss < 3  # near: the vectors' variance is 3


def train_toy(restart: bool, start: str) -> tuple[vq.VectorQuantizer, torch.Tensor]:
    """Vectors in a ring, codes far away on one side: only one is nearest to anything."""
    z = 2 + noise(64, 2, 16, seed=5)
    layer = quantizer(32, 2, restart=restart, started=start == "far", decay=0.95)
    if start == "far":
        layer.codebook.sub_(100).mul_(torch.linspace(1, 2, 32).double()[:, None])
        layer.sums.copy_(layer.codebook)
    for step in range(150):
        layer(z[step % 64 : step % 64 + 8])
    return layer.eval(), z


def test_smoothing_draws_a_code_that_nobody_chooses_to_the_origin():
    """Its fading sum and count shrink alike, so without smoothing it would stay where it is."""
    z, rest = noise(64, 2, 8, seed=5), {}
    for smoothing in (1e-3, 1e-9):
        layer = quantizer(2, 2, smoothing=smoothing, restart=False, decay=0.9)
        layer.codebook.copy_(torch.tensor([[0.0, 0.0], [50.0, 50.0]]).double())
        layer.sums.copy_(layer.codebook)
        at = []
        for step in range(90):
            layer(z[step % 64 : step % 64 + 1])
            at.append(layer.codebook[1].norm().item())
        rest[smoothing] = at
    assert rest[1e-9][-1] == pytest.approx(50 * 2**0.5, rel=1e-3)
    assert rest[1e-3][50] > 2 * rest[1e-3][-1] > 0


def test_codes_that_start_far_away_are_dead_without_restarts_and_live_with_them():
    layer, z = train_toy(restart=False, start="far")
    dead = vq.usage(layer.nearest(z), 32)
    layer, z = train_toy(restart=True, start="far")
    alive = vq.usage(layer.nearest(z), 32)
    layer, z = train_toy(restart=False, start="k-means")
    started = vq.usage(layer.nearest(z), 32)
    assert dead.used <= 2 and dead.perplexity < 2.1
    assert alive.used == 32 and alive.perplexity > 20
    assert started.used == 32 and started.perplexity > 20


def test_a_restarted_code_is_as_if_it_had_been_used_and_chance_is_of_seed_and_step():
    """It stands on a vector of the batch, with the count of an average code and a sum to match."""
    z, books = noise(64, 2, 16, seed=5), []
    for seed, step in ((0, 0), (0, 0), (1, 0), (0, 1)):
        layer = quantizer(32, 2, seed=seed, decay=0.0)
        layer.codebook.copy_(100 + noise(32, 2))
        layer.updates.fill_(step)
        used = layer(z).codes.unique()
        restarted = torch.ones(32, dtype=torch.bool).index_fill(0, used, False)
        assert restarted.sum() > 20
        at = layer.codebook[restarted]
        assert torch.cdist(at, z.movedim(1, -1).reshape(-1, 2)).min(1).values.max() < 1e-6
        assert torch.allclose(layer.counts[restarted], layer.counts[restarted][0])
        assert torch.allclose(layer.sums[restarted], layer.counts[restarted, None] * at)
        books.append(layer.codebook)
    assert torch.equal(books[0], books[1])
    assert not torch.equal(books[0], books[2]) and not torch.equal(books[0], books[3])


def test_a_code_is_dead_below_its_part_of_an_equal_share():
    """Of 100 vectors on four codes the share is 25, and a fifth of that 5: 4 is dead, 6 is not."""
    layer, z = quantizer(4, 2, dead=0.2), 100 + noise(5, 2, 3)
    layer.counts.copy_(torch.tensor([4.0, 6.0, 40.0, 50.0]))
    before = layer.codebook.clone()
    layer._restart(z)
    assert layer.counts.tolist() == [25, 6, 40, 50] and torch.equal(layer.codebook[1:], before[1:])
    assert (z.movedim(1, -1) == layer.codebook[0]).all(-1).sum() == 1
    assert (vq.VectorQuantizer(4, 2).decay, vq.VectorQuantizer(4, 2).dead) == (0.99, 0.02)


# ---------------------------------------------------------------- usage


def test_perplexity_is_of_the_whole_set_whatever_the_batches():
    codes = torch.randint(64, (1000,), generator=seeded())
    p = np.array(list(Counter(codes.tolist()).values())) / 1000
    by_hand = math.exp(-(p * np.log(p)).sum())
    for batch in (1, 7, 100, 1000):
        got = vq.usage(codes.split(batch), 64)
        assert abs(got.perplexity - by_hand) < 1e-9 and got.used == len(p)
    of_batches = np.mean([vq.usage(part, 64).perplexity for part in codes.split(20)])
    assert of_batches < 20 and by_hand > 50  # the first is what depends on the batch


def test_usage_counts_unused_codes():
    got = vq.usage(torch.tensor([[0, 0], [3, 3]]), 4)
    assert got.perplexity == pytest.approx(2) and got.used == 2
    assert got.counts.tolist() == [2, 0, 0, 2]


# ---------------------------------------------------------------- jitter


def test_jitter_takes_neighbours_as_often_as_it_says():
    shifts = vq.jitter_shifts((100_000,), 0.12, np.random.default_rng(0))
    counts = Counter(shifts.tolist())
    assert set(counts) == {-1, 0, 1}
    assert abs(counts[-1] / 1e5 - 0.06) < 0.005 and abs(counts[1] / 1e5 - 0.06) < 0.005
    assert not vq.jitter_shifts((50,), 0.0, np.random.default_rng(0)).any()


def test_jitter_copies_whole_vectors_and_their_gradients():
    z = noise(2, 3, 5).requires_grad_()
    shifts = torch.tensor([[0, 1, -1, 0, 1], [-1, 0, 0, 0, 0]])
    out = vq.jitter(z, shifts)
    assert torch.equal(out[0], z[0][:, [0, 2, 1, 3, 4]]) and torch.equal(out[1], z[1])
    (gradient,) = torch.autograd.grad(out.sum(), z)
    assert torch.equal(gradient[0, 0], torch.tensor([1.0, 1, 1, 1, 1]).double())
    assert torch.equal(
        torch.autograd.grad(vq.jitter(z, -torch.ones_like(shifts)).sum(), z)[0][0, 0],
        torch.tensor([2.0, 1, 1, 1, 0]).double(),
    )


# ---------------------------------------------------------------- training: resumed, on two processes


class Toy(nn.Module):
    """Objective: an autoencoder of vectors with a codebook in the middle."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.model = vq.VQVAE(
                nn.Conv1d(2, 3, 1), vq.VectorQuantizer(8, 3, dead=0.9), nn.Conv1d(3, 2, 1)
            )

    def forward(self, batch):
        out = self.model(batch["x"])
        return (out.x - batch["x"]).square().mean() + 0.25 * out.quantized.commitment_loss, {}


def toy_batches(step: int, shard: int = 0, shards: int = 1) -> dict[str, torch.Tensor]:
    x = noise(8, 2, 4, seed=step, dtype=torch.float32)
    return {"x": x[shard::shards]}


def toy_run(out, steps: int = 20, until: int | None = None, resume: bool = False) -> Trainer:
    config = TrainConfig(steps=steps, rate=1e-2, every=5)
    trainer = Trainer(Toy(), toy_batches, config, out)
    trainer.run(resume, until)
    return trainer


def test_a_run_with_restarts_resumes_exactly(tmp_path):
    whole = toy_run(tmp_path / "whole").model.state_dict()
    toy_run(tmp_path / "parts", until=9)
    parts = toy_run(tmp_path / "parts", resume=True).model.state_dict()
    assert whole["quantizer.updates"] == 20
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


# ---------------------------------------------------------------- pictures


def test_the_grid_is_halved_as_often_as_asked():
    for halvings, side in ((1, 4), (2, 2), (3, 1)):
        model = vq.VQVAE.for_images(codebook_size=8, embedding_dim=4, halvings=halvings).eval()
        codes = model.encode(torch.zeros(2, 1, 8, 8))
        assert codes.shape == (2, side, side) and model.decode(codes).shape == (2, 1, 8, 8)


def test_forward_is_encode_and_decode():
    model = vq.VQVAE.for_images(codebook_size=8, embedding_dim=4).double().eval()
    x = noise(3, 1, 8, 8)
    out = model(x)
    assert torch.equal(model.encode(x), out.quantized.codes)
    assert torch.allclose(model.decode(out.quantized.codes), out.x)


def test_the_shipped_model_is_under_its_bars():
    model, card = vq.load()
    digits = data.digits()
    x = torch.tensor(digits.images / 16).float().reshape(-1, 1, 8, 8)[digits.split["test"]]
    codes = model.encode(x)
    assert codes.shape == (300, 4, 4) and card["grid"] == [4, 4]
    mse = (model.decode(codes) - x).square().mean().item()
    used = vq.usage(codes, 64)
    assert mse <= 0.018 and used.perplexity >= 50
    assert abs(mse - card["seeds"][0]["mse"]) < 2e-4
    assert abs(used.perplexity - card["seeds"][0]["perplexity"]) < 0.5
    assert card["test, median"]["mse"] <= 0.018 and card["test, median"]["perplexity"] >= 50
    assert len(card["seeds"]) == 3


# ---------------------------------------------------------------- errors


def test_errors_say_what_is_wrong():
    layer = quantizer()
    for call, error, message in (
        (lambda: layer(torch.zeros(2, 4, 5).double()), ValueError, "z has shape (B, 3, …), not"),
        (lambda: layer(torch.zeros(2, 3, 5, dtype=torch.long)), TypeError, "embed"),
        (lambda: layer(torch.full((1, 3, 2), math.nan).double()), ValueError, "diverged"),
        (lambda: layer(torch.zeros(0, 3, 2).double()), ValueError, "shape"),
        (lambda: layer([[0.0]]), TypeError, "z is a tensor, not list"),
        (lambda: layer(torch.zeros(3).double()), ValueError, "z has shape"),
        (lambda: layer.embed(torch.tensor([[5]])), ValueError, "0 … 4"),
        (lambda: layer.embed(torch.tensor([[-1]])), ValueError, "0 … 4"),
        (lambda: layer.embed(torch.tensor(1)), TypeError, "shape (B, …)"),
        (lambda: vq.VectorQuantizer(4, 0), ValueError, "embedding_dim=0 below 1"),
        (lambda: vq.VectorQuantizer(4, 3, smoothing=0), ValueError, "smoothing > 0"),
        (lambda: vq.VectorQuantizer(4, 3, dead=1.0), ValueError, "dead in [0, 1)"),
        (lambda: vq.usage(torch.tensor([-1]), 4), ValueError, "0 to 3"),
        (lambda: vq.jitter(torch.zeros(1, 2, 3), torch.zeros(1, 3)), TypeError, "whole numbers"),
        (lambda: vq.jitter_shifts((2,), -0.1, np.random.default_rng(0)), ValueError, "[0, 1]"),
        (lambda: layer.embed(torch.tensor([[1.0]])), TypeError, "whole numbers"),
        (lambda: vq.VectorQuantizer(1, 3), ValueError, "codebook_size=1 is below 2"),
        (lambda: vq.VectorQuantizer(4, 3, decay=1.0), ValueError, "decay"),
        (lambda: vq.usage(torch.tensor([0.5]), 4), ValueError, "whole numbers"),
        (lambda: vq.usage(torch.tensor([4]), 4), ValueError, "0 to 3"),
        (lambda: vq.usage([], 4), ValueError, "no codes"),
        (lambda: vq.jitter_shifts((2,), 1.5, np.random.default_rng(0)), ValueError, "[0, 1]"),
        (lambda: vq.jitter(torch.zeros(1, 2, 3), torch.zeros(1, 2).long()), ValueError, "shifts"),
        (lambda: vq.VQVAE.for_images(halvings=0), ValueError, "halvings"),
    ):
        with pytest.raises(error) as caught:
            call()
        assert message in str(caught.value), caught.value


def test_a_repr_says_the_sizes():
    assert repr(vq.VectorQuantizer(64, 8)).startswith(
        "VectorQuantizer(64, 8, ema=True, restart=True"
    )


def test_codes_begin_by_their_own_seed_as_if_their_averages_had_settled():
    z = noise(1, 3, 400)
    books = [quantizer(started=False, seed=seed).initialise(z) for seed in (0, 1, 0)]
    assert torch.equal(books[0].codebook, books[2].codebook)
    assert not torch.equal(books[0].codebook, books[1].codebook)
    centres, _ = kmeans(z[0].T.numpy(), 5, seed=1, rounds=20)
    assert np.allclose(books[1].codebook, centres)
    one_each = quantizer(started=False).initialise(noise(1, 3, 5))
    assert one_each.counts.tolist() == [1] * 5
    for book in books:
        assert torch.allclose(book.sums / book.counts[:, None], book.codebook)
        assert torch.equal(book.counts, torch.bincount(book.nearest(z)[0]).double())
