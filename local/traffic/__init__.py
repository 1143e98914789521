"""Synthetic diagnostic traffic whose truth is known: made, sent, and compared with what was exported.

    generate: connections -> envelopes of elements -> truth ----> check
                                `-> sends (records in bodies) -> send

Nothing is known of the real records but their columns, so the frame is that of the gateway log, and the event
names are inventions. The odd forms are those that other exporters are known to meet.
"""
