//! offsets, seals, outcomes, ledger time, takeover. Pure.
