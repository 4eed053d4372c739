"""What pulled results say, one question a module; all pure and repeatable, put together by `findings`.

`align` makes one matrix of several runs' predictions. On it: `groups` (where a run fails), `selection`
(how much too good the best of many looks), `seeds` (configurations over their repeats). On the ranking
alone: `importance`, `progress`, `pareto`. `phenomena` and `blimp` read annotated data beside the sweep.
They import `stats` and `align`; heavy libraries inside functions.
"""
