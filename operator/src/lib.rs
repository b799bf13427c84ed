//! Turns CtlFamily and CtlTable into ctldb schema and ledger entries.
