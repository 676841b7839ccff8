"""The fan-out: one main account copied to its secondary accounts, one task per link and reference.

`tasks` puts work into the queue, `intake` reads changed references of the main account, `decide` says what a secondary should
hold, `apply` makes it so, `drain` keeps all of that going, `plan` initialises a secondary, `audit` finds foreign changes.
"""
