"""What `scripts/bench` runs: tornado_auth beside others, in one run, on this machine.

options.py     the command line
processes.py   start, pin, watch and stop what is measured
population.py  users, sessions and signed tokens, put straight into a store
servers.py     the contenders: how each is started and asked
load.py        wrk, and the slices that it takes in turn
open_loop.py   a load at a fixed rate: latency as a caller sees it
run.py         what the cases share
cases.py       what is compared with what; nginx.py, database.py, logins.py, memory.py and soak.py
               hold the larger ones
report.py      medians, ratios, tables and JSON; plot.py draws, machine.py tells what ran where
peers/         the servers to compare with, which run in an environment of their own

Never part of the installed package.
"""
