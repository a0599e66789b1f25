"""What an objective needs to know of the other processes: the mean of a number over all of them.

A loss that divides by a sum over the batch (a weighted mean, a ratio of norms) is no mean of the losses of
two half batches. With sums and means taken over all processes, two processes have the gradients of one.
"""

import torch
import torch.distributed as dist
from torch import Tensor


def _world() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def mean_over_processes(x: Tensor) -> Tensor:
    """The mean of x over all processes. Its gradient is that of x: the trainer averages gradients.

    >>> import torch
    >>> mean_over_processes(torch.tensor(3.0))  # one process
    tensor(3.)
    """
    if _world() == 1:
        return x
    mean = x.detach().clone()
    dist.all_reduce(mean)
    return x + (mean / _world() - x.detach())


def all_items(x: Tensor) -> tuple[Tensor, slice]:
    """The items x (B, ...) of all processes in the order of the whole batch, and which are this one's.

    Process r of W has items r, r + W, r + 2W, ... of the batch. There is no gradient.
    """
    if _world() == 1:
        return x.detach(), slice(None)
    parts = [x.detach().clone() for _ in range(_world())]
    dist.all_gather(parts, x.detach().contiguous())
    return torch.stack(parts, dim=1).flatten(0, 1), slice(dist.get_rank(), None, _world())
