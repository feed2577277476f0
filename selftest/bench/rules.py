# SPDX-License-Identifier: GPL-2.0-or-later
"""What a decision by access rules costs, and what more rules add to it."""
from figures import CLIENT_CORE, Figure, median, output

FEW, MANY = 10, 1000
DECISIONS = 500_000
ROUNDS = 5


def rule_figures(build):
    taken = {FEW: [], MANY: []}
    for _ in range(ROUNDS):
        for rules, values in taken.items():
            values.append(float(output([f'{build}/selftest/bench/bench-cedar', str(rules), str(DECISIONS)], CLIENT_CORE)))
    few, many = median(taken[FEW]), median(taken[MANY])
    yield Figure(f'a decision by {MANY} rules, its request made as well', many, 'us', ('<', 5))
    yield Figure(f'a decision by {MANY} rules, of one by {FEW}', many, 'us', ('<=', 1.5), few,
                 'memory that is touched in turn is all that grows')
