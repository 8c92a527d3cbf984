"""A layered layout from left to right: where boxes stand and how the wires between them run.

The method is Sugiyama's, in five stages, each a function: `layers` (longest path; what feeds one
consumer only stands right before it), chains of waypoints for wires that pass a layer, `ordered`
(barycentres up and down, then exchanges of neighbours; the order with the fewest crossings wins),
`heights` (least squares: every box near its neighbours in the layers beside it, kept apart; each
layer is solved exactly by pooling), and columns, which fold into rows like lines of a text when
they would be wider than the page.

Geometry only: what boxes mean is not known here. What holds for every input: boxes do not overlap
and keep a distance; a wire leaves at the right side of a box, enters at the left, and in between runs
through gaps or along its own waypoints, never through a box; the same input gives the same layout.
Each sweep is linear in boxes and waypoints (up to the logarithm of sorting).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

ROW_GAP = 14.0  # between boxes of one column
COLUMN_GAP = 34.0  # the least between columns
PASS = 10.0  # the height that a passing wire takes, and between wires that run beside each other
SWEEPS = 10


@dataclass(frozen=True)
class Item:
    """What is to be placed: its size, the heights over its middle at which wires may enter (one for
    each), whether they enter in their given order, and whether it should stand at the very left
    (`early`) or right before what it feeds (`late`)."""

    key: str
    width: float
    height: float
    ports: tuple[float, ...] = ()
    in_order: bool = False
    stands: str = ""


@dataclass(frozen=True)
class Link:
    """A wire. `pull` says how much it wants to be straight."""

    source: str
    target: str
    pull: float = 1.0


@dataclass(frozen=True)
class Move:
    """One piece of a path: a line to (x, y), or a curve with level tangents at both ends."""

    x: float
    y: float
    curved: bool = False


@dataclass(frozen=True)
class Layout:
    """Upper left corners by key; for each link its path (the first move is where it starts) and the port
    at which it enters; the row and the column of each box; the size of everything."""

    places: Mapping[str, tuple[float, float]]
    paths: tuple[tuple[Move, ...], ...]
    entered: tuple[int, ...]
    rows: Mapping[str, int]
    columns: Mapping[str, int]
    width: float
    height: float


# ---- layers ------------------------------------------------------------------------------------


def layers(items: Sequence[Item], links: Sequence[Link]) -> dict[str, int]:
    """Columns. `items` stand in topological order."""
    feeds: dict[str, list[str]] = {i.key: [] for i in items}
    fed: dict[str, list[str]] = {i.key: [] for i in items}
    for link in links:
        feeds[link.source].append(link.target)
        fed[link.target].append(link.source)
    column: dict[str, int] = {}
    loose: dict[str, bool] = {}  # hangs on one consumer, with all that feeds it
    for i in items:
        column[i.key] = max((column[s] + 1 for s in fed[i.key]), default=0)
        loose[i.key] = all(loose[s] for s in fed[i.key]) and len(set(feeds[i.key])) == 1
    for i in reversed(items):
        if feeds[i.key] and i.stands != "early" and (loose[i.key] or not fed[i.key] or i.stands == "late"):
            column[i.key] = min(column[t] for t in feeds[i.key]) - 1
    first = min(column.values(), default=0)
    return {k: c - first for k, c in column.items()}


# ---- the stages --------------------------------------------------------------------------------


class _Net:
    """Boxes and waypoints by number; `up` and `down` are (neighbour, slot of the wire) lists."""

    def __init__(self, items: Sequence[Item], links: Sequence[Link], column: Mapping[str, int], lane: float) -> None:
        self.items, self.lane = list(items), lane
        self.number = {i.key: n for n, i in enumerate(items)}
        self.column = [column[i.key] for i in items]
        self.height = [i.height for i in items]
        self.chains: list[list[int]] = []  # for each link: source, waypoints, target
        slots: dict[str, int] = {}
        self.slot: list[int] = []
        for link in links:
            a, b = self.number[link.source], self.number[link.target]
            chain = [a]
            for c in range(self.column[a] + 1, self.column[b]):
                chain.append(len(self.column))
                self.column.append(c)
                self.height.append(lane)
            self.chains.append([*chain, b])
            self.slot.append(slots.setdefault(link.target, 0))
            slots[link.target] += 1
        size = len(self.column)
        self.entered = list(self.slot)  # the port of each link
        self.before: list[list[tuple[int, int]]] = [[] for _ in range(size)]  # (neighbour, link)
        self.after: list[list[tuple[int, int]]] = [[] for _ in range(size)]
        for n, chain in enumerate(self.chains):
            for a, b in pairwise(chain):
                self.after[a].append((b, n))
                self.before[b].append((a, n))
        self.rank = [0] * size
        self.layers: list[list[int]] = [[] for _ in range(max(self.column, default=-1) + 1)]
        for v in self._walk():
            self.rank[v] = len(self.layers[self.column[v]])
            self.layers[self.column[v]].append(v)

    def _walk(self) -> list[int]:
        """Depth first from the left, which puts what belongs together side by side."""
        seen = [False] * len(self.column)
        found: list[int] = []
        for start in range(len(self.items)):
            stack = [start]
            while stack:
                v = stack.pop()
                if seen[v]:
                    continue
                seen[v] = True
                found.append(v)
                stack.extend(w for w, _ in reversed(self.after[v]) if not seen[w])
        return found

    def is_box(self, v: int) -> bool:
        return v < len(self.items)

    def port(self, link: int, v: int) -> float:
        """Where a link enters v, over its middle."""
        return self.items[v].ports[self.entered[link]] if self.is_box(v) and self.items[v].ports else 0.0

    # -- order --

    def crossings(self, left: int) -> int:
        """Crossings between a layer and the next: inversions, counted in a tree of sums."""
        ends: list[float] = []
        for v in self.layers[left]:
            ends.extend(sorted(self._end(w, n) for w, n in self.after[v]))
        places = sorted(set(ends))
        tree = [0] * (len(places) + 1)
        total = 0
        for seen, e in enumerate(ends):
            at = bisect_left(places, e) + 1
            below, k = 0, at
            while k:
                below += tree[k]
                k &= k - 1
            total += seen - below
            k = at
            while k < len(tree):
                tree[k] += 1
                k += k & -k
        return total

    def _end(self, v: int, link: int) -> float:
        """Rank of where a link enters, a fraction for its port."""
        if self.is_box(v) and self.items[v].in_order:
            return self.rank[v] + self.slot[link] / (len(self.items[v].ports) or 1)
        return float(self.rank[v])

    def all_crossings(self) -> int:
        return sum(self.crossings(c) for c in range(len(self.layers) - 1))

    def order(self) -> None:
        """Sweeps with barycentres; the best order is kept, then neighbours are exchanged."""
        best, kept = self.all_crossings(), [list(x) for x in self.layers]
        idle = 0
        for sweep in range(SWEEPS):
            forward = sweep % 2 == 0
            span = range(1, len(self.layers)) if forward else range(len(self.layers) - 2, -1, -1)
            for c in span:
                self._sort(c, forward)
            now = self.all_crossings()
            if now < best:
                best, kept, idle = now, [list(x) for x in self.layers], 0
            else:
                idle += 1
            if not best or idle > 3:
                break
        for c, layer in enumerate(kept):
            self._put(c, layer)
        if best:
            for _ in range(4):
                exchanged = [self._exchange(c) for c in range(len(self.layers))]
                if not any(exchanged):
                    break

    def _put(self, c: int, layer: list[int]) -> None:
        self.layers[c] = layer
        for r, v in enumerate(layer):
            self.rank[v] = r

    def _sort(self, c: int, forward: bool) -> None:
        near = self.before if forward else self.after
        weight: dict[int, float] = {}
        for v in self.layers[c]:
            ends = [float(self.rank[w]) if forward else self._end(w, n) for w, n in near[v]]
            weight[v] = sum(ends) / len(ends) if ends else -1.0
        free = [v for v in self.layers[c] if weight[v] < 0]
        moved = sorted((v for v in self.layers[c] if weight[v] >= 0), key=lambda v: (weight[v], self.rank[v]))
        for v in free:  # what has no neighbour there keeps its place
            moved.insert(min(self.rank[v], len(moved)), v)
        self._put(c, moved)

    def _exchange(self, c: int) -> bool:
        """Exchange neighbours where that takes crossings away."""
        layer, better = self.layers[c], False
        for r in range(len(layer) - 1):
            v, w = layer[r], layer[r + 1]
            now = then = 0
            for near, forward in ((self.before, True), (self.after, False)):
                a = sorted(float(self.rank[x]) if forward else self._end(x, n) for x, n in near[v])
                b = sorted(float(self.rank[x]) if forward else self._end(x, n) for x, n in near[w])
                if len(a) * len(b) > 400:
                    continue
                now += sum(y < x for x in a for y in b)
                then += sum(x < y for x in a for y in b)
            if then < now:
                layer[r], layer[r + 1] = w, v
                self.rank[v], self.rank[w] = r + 1, r
                better = True
        return better

    def enter(self) -> None:
        """Give every link its port: its slot, or where order does not matter, by where it comes from."""
        for v, item in enumerate(self.items):
            if not item.in_order and len(item.ports) > 1:
                coming = sorted(self.before[v], key=lambda p: (self.rank[p[0]], p[1]))
                for port, (_, link) in enumerate(coming):
                    self.entered[link] = port

    # -- heights --

    def heights(self, pulls: Sequence[float]) -> list[float]:
        """The middle of every box and waypoint."""
        y = [0.0] * len(self.column)
        for layer in self.layers:
            at = 0.0
            for v in layer:
                y[v] = at + self.height[v] / 2
                at += self.height[v] + ROW_GAP
        count = len(self.layers)
        for sweep in range(2 * SWEEPS):
            span = range(count) if sweep % 2 == 0 else range(count - 1, -1, -1)
            both = sweep >= SWEEPS
            for c in span:
                self._settle(c, y, pulls, both or sweep % 2 == 0, both or sweep % 2 == 1)
        return y

    def _settle(self, c: int, y: list[float], pulls: Sequence[float], left: bool, right: bool) -> None:
        """The layer's heights, nearest to what its neighbours want in the sense of least squares, in order
        and apart: after the needed distances are taken off, pooling of adjacent violators."""
        layer = self.layers[c]
        base: list[float] = []
        at = last = 0.0
        for v in layer:
            if base:
                at += (last + self.height[v]) / 2 + (ROW_GAP if self.is_box(v) else ROW_GAP * 0.6)
            base.append(at)
            last = self.height[v]
        pools: list[list[float]] = []  # mean, weight, members
        for v, b in zip(layer, base):
            total = weight = 0.0
            for near, wanted in ((self.before, left), (self.after, right)):
                if not wanted:
                    continue
                for w, n in near[v]:
                    pull = pulls[n] * (
                        1.0 if self.is_box(v) and self.is_box(w) else 2.0 if self.is_box(v) or self.is_box(w) else 8.0
                    )
                    port = self.port(n, v) if near is self.before else -self.port(n, w)
                    total += pull * (y[w] - port)
                    weight += pull
            if not weight:
                total, weight = 0.02 * y[v], 0.02
            pools.append([total / weight - b, weight, 1])
            while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
                mean, more, members = pools.pop()
                pool = pools[-1]
                pool[0] = (pool[0] * pool[1] + mean * more) / (pool[1] + more)
                pool[1] += more
                pool[2] += members
        place = iter(zip(layer, base))
        for mean, _, members in pools:
            for _ in range(int(members)):
                v, b = next(place)
                y[v] = mean + b


def layout(items: Sequence[Item], links: Sequence[Link], page: float = 780.0, lane: float = PASS) -> Layout:
    """Place the items and route the links. `page` is the width at which columns fold into a new row,
    `lane` what a wire takes that passes a column or runs back to a new row."""
    net = _Net(items, links, layers(items, links), lane)
    net.order()
    net.enter()
    return _Rows(net, net.heights([link.pull for link in links]), page).layout()


# ---- columns and rows ----------------------------------------------------------------------------


class _Rows:
    """Columns from left to right, folded into rows, and the paths of the links."""

    def __init__(self, net: _Net, y: list[float], page: float) -> None:
        self.net, self.y, self.page = net, y, page
        count = len(net.layers)
        self.wide = [max((net.items[v].width for v in layer if net.is_box(v)), default=0.0) for layer in net.layers]
        self.gap = [self._gap(c) for c in range(count - 1)]
        self.row = [0] * count
        self.x = [0.0] * count
        self._fold()

    def _enter(self, link: int, v: int) -> float:
        return self.y[v] + self.net.port(link, v)

    def _gap(self, c: int) -> float:
        """Wider where wires climb more, so that they never get steep."""
        rise = [abs(self._enter(n, w) - self.y[v]) for v in self.net.layers[c] for w, n in self.net.after[v]]
        return COLUMN_GAP + min(0.28 * max(rise, default=0.0), 70.0)

    def _fold(self) -> None:
        """Rows of about equal width, cut where few wires pass."""
        count = len(self.wide)
        ends = []  # of each column, in one long row
        at = 0.0
        for c in range(count):
            ends.append(at + self.wide[c])
            at += self.wide[c] + (self.gap[c] if c < count - 1 else 0.0)
        whole = ends[-1] if ends else 0.0
        high = max(self.y, default=0.0) - min(self.y, default=0.0)
        rows = 1 if whole <= max(1.3 * self.page, 1.5 * high) else -(-whole // self.page)
        start, left = 0, 0.0
        for row in range(int(rows)):
            end, room = count - 1, (whole - left) / (rows - row)
            if row < rows - 1:
                end = max(bisect_left(ends, left + room, start, count) - 1, start)
                near = range(max(start, end - 1), min(end + 2, count - 1))
                end = min(near, key=lambda c: (self._passing(c), abs(ends[c] - left - room)), default=end)
            for c in range(start, end + 1):
                self.x[c], self.row[c] = ends[c] - self.wide[c] - left, row
            if end >= count - 1:
                break
            start, left = end + 1, ends[end] + self.gap[end]

    @property
    def rows(self) -> int:
        return max(self.row) + 1

    def _passing(self, c: int) -> int:
        return sum(len(self.net.after[v]) for v in self.net.layers[c])

    def layout(self) -> Layout:
        net = self.net
        if not net.items:
            return Layout({}, (), (), {}, {}, 0.0, 0.0)
        rows: list[list[int]] = [[] for _ in range(self.rows)]
        for c, r in enumerate(self.row):
            rows[r].append(c)
        turning: list[list[tuple[int, int, int]]] = [[] for _ in rows]  # link, from, to: after each row
        for n, chain in enumerate(net.chains):
            for a, b in pairwise(chain):
                if self.row[net.column[a]] != self.row[net.column[b]]:
                    turning[self.row[net.column[a]]].append((n, a, b))
        right = max(self.x[c] + self.wide[c] for c in range(len(self.x)))
        lanes = max((len(t) for t in turning), default=0)
        margin = (lanes + 1) * self.net.lane + 6 if lanes else 0.0
        top, lane_y = 0.0, [0.0] * len(rows)
        for r, columns in enumerate(rows):
            members = [v for c in columns for v in net.layers[c]]
            low = min(self.y[v] - net.height[v] / 2 for v in members)
            high = max(self.y[v] + net.height[v] / 2 for v in members)
            for v in members:
                self.y[v] += top - low
            top += high - low
            lane_y[r] = top + ROW_GAP
            top += 2 * ROW_GAP + len(turning[r]) * self.net.lane if r + 1 < len(rows) else 0.0
        turns = {
            (n, a): (r, k, len(t))
            for r, t in enumerate(self._sorted(t) for t in turning)
            for k, (n, a, _) in enumerate(t)
        }
        places = {i.key: (margin + self.x[net.column[v]], self.y[v] - i.height / 2) for v, i in enumerate(net.items)}
        paths = tuple(self._path(n, chain, margin, right, turns, lane_y) for n, chain in enumerate(net.chains))
        column_of = {i.key: net.column[v] for v, i in enumerate(net.items)}
        in_row = {key: self.row[c] for key, c in column_of.items()}
        return Layout(places, paths, tuple(net.entered), in_row, column_of, right + 2 * margin, top)

    def _sorted(self, turning: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
        """By the height at which they leave, the lowest innermost, so that they do not cross there."""
        return sorted(turning, key=lambda t: (-self.y[t[1]], t[0]))

    def _path(
        self, n: int, chain: list[int], margin: float, right: float,
        turns: Mapping[tuple[int, int], tuple[int, int, int]], lane_y: list[float],
    ) -> tuple[Move, ...]:  # fmt: skip
        net = self.net
        first = chain[0]
        x = margin + self.x[net.column[first]] + net.items[first].width
        moves = [Move(x, self.y[first])]
        for a, b in pairwise(chain):
            y = self._enter(n, b) if b == chain[-1] else self.y[b]
            into = margin + self.x[net.column[b]]
            column_end = margin + self.x[net.column[a]] + self.wide[net.column[a]]
            if moves[-1].x < column_end:
                moves.append(Move(column_end, self.y[a]))
            if (n, a) in turns:
                row, k, count = turns[n, a]
                out = margin + right + 6 + k * self.net.lane
                back = margin - 6 - (count - 1 - k) * self.net.lane
                across = lane_y[row] + k * self.net.lane
                moves += [Move(out, self.y[a]), Move(out, across), Move(back, across), Move(back, y), Move(into, y)]
            else:
                moves.append(Move(into, y, curved=abs(y - moves[-1].y) > 0.01))
        return tuple(moves)
