//! The CtlFamily and CtlTable resources.
