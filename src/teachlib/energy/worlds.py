"""A world model and what planning with it is worth (thesis § 7.6): a grid with walls, where steps sometimes slip.

Everything has so few states that outcomes are imagined exactly, as distributions: what is lost is lost by the model.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from teachlib.errors import TeachlibError, require_at_least
from teachlib.nets import mlp

MOVES = torch.tensor([[-1, 0], [0, 1], [1, 0], [0, -1]])  # up, right, down, left; rows and columns
PLAN = """
........
.##..#..
.#...#..
.#.###..
.#...#..
.###.#x.
...#.#x.
.......G
"""


@dataclass(frozen=True)
class World:
    """A grid.

    Attributes:
        free: cells that one can stand on, row and column, (S, 2).
        step: probability of the next state of each state and move, (S, 4, S).
        reward: for arriving in each state, (S,).
        last: states in which everything ends, (S,) booleans.
    """

    free: Tensor
    step: Tensor
    reward: Tensor
    last: Tensor

    def __len__(self) -> int:
        return len(self.free)

    def lived(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Random states, random moves and what came of them, (count,) each: all that a model is trained on."""
        require_at_least(1, count=count)
        states = torch.randint(len(self), (count,), generator=generator)
        moves = torch.randint(len(MOVES), (count,), generator=generator)
        after = torch.multinomial(self.step[states, moves], 1, generator=generator)[:, 0]
        return states, moves, after


def world(plan: str = PLAN, *, slips: float = 0.1) -> World:
    """The grid of a drawing: ``.`` is free, ``#`` a wall, ``G`` the goal (+1), ``x`` a pit (−1).

    Args:
        plan: rows of equal length.
        slips: probability of a step to either side instead, together.

    Raises:
        TeachlibError: rows of other lengths, other signs, nowhere to stand, or slips outside [0, 1].
    """
    rows = plan.split()
    if len({len(row) for row in rows}) != 1 or set("".join(rows)) - set(".#Gx"):
        raise TeachlibError("a plan needs rows of one length, of '.', '#', 'G' and 'x'")
    if "." not in plan or not 0 <= slips <= 1:
        raise TeachlibError(f"a plan with no '.' to stand on, or slips {slips} that are no probability")
    cells = [(r, c) for r, row in enumerate(rows) for c, sign in enumerate(row) if sign != "#"]
    place = {cell: number for number, cell in enumerate(cells)}
    signs = [rows[r][c] for r, c in cells]
    step = torch.zeros(len(cells), len(MOVES), len(cells))
    for (r, c), state in place.items():
        for move in range(len(MOVES)):
            for turn, probability in ((0, 1 - slips), (1, slips / 2), (3, slips / 2)):
                dr, dc = MOVES[(move + turn) % 4].tolist()
                step[state, move, place.get((r + dr, c + dc), state)] += probability
    last = torch.tensor([sign in "Gx" for sign in signs])
    step[last] = torch.eye(len(cells))[last][:, None]
    reward = torch.tensor([{"G": 1.0, "x": -1.0}.get(sign, 0.0) for sign in signs])
    return World(torch.tensor(cells), step, reward, last)


class WorldModel(nn.Module):
    """p(next state | state, move), by a small network that sees rows, columns and moves.

    Args:
        of: the world, of which it is told the cells and nothing else.
        width: of two hidden layers.
    """

    def __init__(self, of: World, width: int = 64) -> None:
        super().__init__()
        self.net = mlp(2 + len(MOVES), width, width, len(of))
        self.register_buffer("places", of.free.float() / of.free.max().clamp_min(1) * 2 - 1)
        self.places: Tensor

    def forward(self, states: Tensor, moves: Tensor) -> Tensor:
        """Logits of the next state, (N, S), of states and moves (N,)."""
        hot = F.one_hot(moves, len(MOVES)).to(self.places)
        return self.net(torch.cat([self.places[states], hot], 1))

    @torch.no_grad()
    def table(self) -> Tensor:
        """All of it: (S, 4, S)."""
        count = len(self.places)
        states = torch.arange(count).repeat_interleave(len(MOVES))
        moves = torch.arange(len(MOVES)).repeat(count)
        return self(states, moves).softmax(1).view(count, len(MOVES), count)


def train(of: World, lived: tuple[Tensor, Tensor, Tensor], *, steps: int, seed: int) -> WorldModel:
    """A model by maximum likelihood of what was lived, (N,) each."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        model, generator = WorldModel(of), torch.Generator().manual_seed(seed)
    adam = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(steps):
        rows = torch.randint(len(lived[0]), (128,), generator=generator)
        loss = F.cross_entropy(model(lived[0][rows], lived[1][rows]), lived[2][rows])
        adam.zero_grad()
        loss.backward()
        adam.step()
    return model


def counted(of: World, lived: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """The rival without a network: shares of what was seen; a move never made is taken to stay; (S, 4, S)."""
    seen = torch.zeros_like(of.step).index_put(lived, torch.tensor(1.0), accumulate=True)
    total = seen.sum(2, keepdim=True)
    stays = torch.eye(len(of))[:, None].expand_as(seen)
    return torch.where(total > 0, seen / total.clamp_min(1), stays)


def planned(step: Tensor, of: World, *, discount: float = 0.95, rounds: int = 300) -> Tensor:
    """The best move in each state, if outcomes were as imagined: value iteration; (S,).

    Args:
        step: what is imagined of each state and move, (S, 4, S).
        of: whose rewards and ends are known.
        discount: of a reward one step later.
        rounds: of the iteration.
    """
    value = torch.zeros(len(of))
    gain = torch.zeros(len(of), len(MOVES))
    for _ in range(rounds):
        worth = of.reward + discount * value * ~of.last
        gain = step @ worth
        value = gain.max(1).values
    return gain.argmax(1)


def worth(moves: Tensor, of: World, *, discount: float = 0.95) -> float:
    """What a plan (S,) earns in the true world, from a random free state on, discounted; exactly."""
    if not 0 <= discount < 1:
        raise TeachlibError(f"discount is {discount}; expected a number in [0, 1)")
    follow = of.step[torch.arange(len(of)), moves]
    going = discount * follow * ~of.last
    value = torch.linalg.solve(torch.eye(len(of)) - going, follow @ of.reward)
    return value[~of.last].mean().item()


def drift(step: Tensor, of: World, moves: Tensor, *, start: int, horizon: int) -> list[float]:
    """Total variation between imagined and true distributions of the state, after 1, 2, … steps of a plan.

    Args:
        step: what is imagined, (S, 4, S).
        of: the true world.
        moves: the plan, (S,).
        start: state that both begin in.
        horizon: steps.
    """
    imagined, true = (_states(each, moves, start, horizon) for each in (step, of.step))
    return _apart(imagined, true)[1:].tolist()


def drift_bound(step: Tensor, of: World, moves: Tensor, *, start: int, horizon: int) -> list[float]:
    """What :func:`drift`, of the same arguments, is at most: errors of single steps along the way that is truly gone.

    Each is the total variation between the imagined and the true next state, and weighs as much as its state is likely
    in the true world; they add up. Later imagined steps can only bring two distributions nearer: no one lengthens a
    difference.
    """
    rows = torch.arange(len(of))
    errors = _apart(step[rows, moves], of.step[rows, moves])
    return (_states(of.step, moves, start, horizon)[:-1] @ errors).cumsum(0).tolist()


def _apart(a: Tensor, b: Tensor) -> Tensor:
    """Total variation of distributions (N, S) and (N, S), row by row."""
    return 0.5 * (a - b).abs().sum(1)


def _states(step: Tensor, moves: Tensor, start: int, horizon: int) -> Tensor:
    """Distributions of the state at first and after each step of a plan, (horizon + 1, S)."""
    follow = step[torch.arange(len(step)), moves]
    states = [F.one_hot(torch.tensor(start), len(step)).float()]
    for _ in range(horizon):
        states.append(states[-1] @ follow)
    return torch.stack(states)
