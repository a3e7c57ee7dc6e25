//! usage and commands to ledger.
