//! The resources with which teams declare their control data, in the API group `ctlstore.dev/v1alpha1`.
//!
//! * [`CtlFamily`] (cluster-scoped) groups tables that are written and read together. It says which namespaces may add
//!   tables to it, and what their limits are unless they say otherwise. Family names are unique in the whole store.
//! * [`CtlTable`] (namespaced) is one table: its columns, its key, its limits. Applying it creates the table in the
//!   database and the ledger, and a moment later in the file on every node.
//!
//! What can be refused without looking at other objects or the database is refused by the schema itself (bounds and CEL
//! rules), so the API server says it at once. The rest is said by the operator, in [`condition`]s.
//!
//! [`presence`] is the other thing that is written in Kubernetes: how a node is, in the Lease that its agent renews.
//!
//! Knows neither the ledger nor the database: names and types are text and enums here, parsed where they are used.

pub mod condition;
mod ctlfamily;
mod ctltable;
pub mod definition;
pub mod limits;
mod name;
pub mod presence;
mod schema;

pub use ctlfamily::{AllowedNamespaces, CtlFamily, CtlFamilySpec, CtlFamilyStatus, NamespacesFrom};
pub use ctltable::{
    Column, ColumnType, CtlTable, CtlTableSpec, CtlTableStatus, FamilyRef, Propagation,
};
pub use limits::{Limits, WriterLimit};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The API group of all our resources, and the prefix of our labels, annotations and finalizers.
pub const GROUP: &str = "ctlstore.dev";

/// The one version there is. New fields are optional; a field is never removed or tightened within it.
pub const VERSION: &str = "v1alpha1";

/// Held by objects whose deletion policy is `Delete`, so that the operator can drop what they own, or say why not.
pub const FINALIZER: &str = "ctlstore.dev/drop-protection";

/// Annotation that confirms a pass that was stopped for changing too many tables (`Stalled/TooManyChanges`).
/// Its value is what the condition's message asks for.
pub const CONFIRM_CHANGES: &str = "ctlstore.dev/confirm-changes";

// The enum's text is also the field's description in the schema. Variants have none: documenting them would split the
// schema's enum and lose the order.
/// What happens to the data when this object is deleted. `Retain` leaves table, rows and ledger as they are, and an object
/// of the same name takes them up again. `Delete` drops them everywhere; the operator does so only if it was started with
/// `--allow-drop`, and until then the object stays and says what it waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "see above")]
pub enum DeletionPolicy {
    #[default]
    Retain,
    Delete,
}
