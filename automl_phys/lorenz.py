"""The Lorenz system of 1963: three coordinates, chaotic, and the same numbers on every machine.

Takes a starting point and the system's constants, gives samples evenly spaced in time. Chaos makes of a difference in
the last bit another trajectory, after some 40 time units; so all is done in plain floats, one operation after the other
in a fixed order, with + - * only, which IEEE 754 leaves no choice in.

The largest Lyapunov exponent of the usual constants is 0.9056 (D. Viswanath, Lyapunov exponents from random Fibonacci
sequences to the Lorenz equations, PhD thesis, Cornell 1998): small errors grow by e in 1.104 time units.
"""

from __future__ import annotations

from typing import TypeAlias

Point: TypeAlias = tuple[float, float, float]

SIGMA, RHO, BETA = 10.0, 28.0, 8 / 3
START: Point = (1.0, 1.0, 20.0)
INTERVAL = 0.05
BURN_IN = 50.0
"""Time until a trajectory from anywhere near is on the attractor, which it nears as exp(−14.6 t)."""
LYAPUNOV_EXPONENT = 0.9056
SAMPLES = 6000
DIGITS = 6
"""Decimals that a series is rounded to: a relative error of some 1e-7, which grows to 1 in about 18 time units."""


def series(points: list[Point], interval: float = INTERVAL) -> dict[str, list[float]]:
    """Points as columns ``time``, from 0, and ``x``, ``y``, ``z``."""
    named = dict(zip("xyz", zip(*points, strict=True), strict=True))
    return {"time": [round(i * interval, DIGITS) for i in range(len(points))],
            **{name: [round(value, DIGITS) for value in values] for name, values in named.items()}}


def trajectory(samples: int = SAMPLES, start: Point = START, *, interval: float = INTERVAL, substeps: int = 20,
               burn_in: float = BURN_IN, sigma: float = SIGMA, rho: float = RHO, beta: float = BETA) -> list[Point]:
    """One point or more, ``interval`` apart, the first of them ``burn_in`` after ``start``.

    Steps are those of Runge and Kutta, of fourth order, ``substeps`` to an interval.
    """
    step = interval / substeps
    point = _advanced(start, round(burn_in / step), step, sigma, rho, beta)
    points = [point]
    while len(points) < samples:
        point = _advanced(point, substeps, step, sigma, rho, beta)
        points.append(point)
    return points


def _advanced(point: Point, steps: int, h: float, sigma: float, rho: float, beta: float) -> Point:
    """A point so many steps of ``h`` later. Written out, as this is where all the time goes."""
    x, y, z = point
    half, sixth = h / 2, h / 6
    for _ in range(steps):
        x1, y1, z1 = sigma * (y - x), x * (rho - z) - y, x * y - beta * z
        u, v, w = x + half * x1, y + half * y1, z + half * z1
        x2, y2, z2 = sigma * (v - u), u * (rho - w) - v, u * v - beta * w
        u, v, w = x + half * x2, y + half * y2, z + half * z2
        x3, y3, z3 = sigma * (v - u), u * (rho - w) - v, u * v - beta * w
        u, v, w = x + h * x3, y + h * y3, z + h * z3
        x += sixth * (x1 + 2 * (x2 + x3) + sigma * (v - u))
        y += sixth * (y1 + 2 * (y2 + y3) + u * (rho - w) - v)
        z += sixth * (z1 + 2 * (z2 + z3) + u * v - beta * w)
    return x, y, z
