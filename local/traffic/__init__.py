"""Generates and sends synthetic diagnostic traffic, and compares the exported data with the known truth.

    generate: connections -> envelopes of elements -> truth ----> check
                                `-> envelopes (with bodies) ---> send

Only the columns of real records are known, so the structure is that of the gateway log, and the event names
are invented. The unusual forms are those that other exporters are known to receive.
"""
