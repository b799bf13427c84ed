//! How large a table may grow, and how much a writer may write.

#![allow(
    unreachable_pub,
    reason = "KubeSchema copies each struct, with its `pub`, into a function"
)]

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

// It calls quantity() only on what it can read: a size that makes no sense is the other rules' business.
const ORDER: &str = "!has(self.maxSize) || !has(self.warnSize) || !isQuantity(string(self.maxSize)) || !isQuantity(string(self.warnSize)) || quantity(string(self.warnSize)).compareTo(quantity(string(self.maxSize))) <= 0";

const SIZE: (&str, &str) = (
    "type(self) == int ? self > 0 : self.matches('^[0-9]+([.][0-9]+)?(k|[MGTPE]|[KMGTPE]i)?$') && isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))",
    "a size is a positive number of bytes, such as 100Mi",
);

/// How large a table may grow. A table that is too large takes no more rows; it stays readable.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(ORDER).message("warnSize must not be above maxSize"))]
pub struct Limits {
    /// Largest size of the table in the database, data and indexes, such as `100Mi`. Beyond it, writes are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::size")]
    #[x_kube(validation = SIZE)]
    pub max_size: Option<Quantity>,
    /// Size at which a warning is raised, such as `80Mi`. Not above `maxSize`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::size")]
    #[x_kube(validation = SIZE)]
    pub warn_size: Option<Quantity>,
}

/// How many rows a writer may write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WriterLimit {
    /// The name under which the writer is registered, or will be.
    #[schemars(length(min = 3, max = 50))]
    pub writer: String,
    /// Rows that it may write in a minute, upserts and deletes together. With 0 it may not write.
    #[schemars(range(min = 0, max = 1_000_000_000_000_i64))]
    pub rows_per_minute: i64,
}

/// The text is not an amount of bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a number of bytes, write it like 100Mi or 1G")]
pub struct NotBytes {
    /// The text as it came.
    pub text: String,
}

/// The bytes that a quantity means; a fraction of a byte counts as one.
///
/// # Errors
/// When it is not one of the forms that the API server admits (no sign, no exponent, no parts of a unit), or larger than 2^64.
pub fn bytes(quantity: &Quantity) -> Result<u64, NotBytes> {
    parse(&quantity.0).ok_or_else(|| NotBytes { text: quantity.0.clone() })
}

fn parse(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit: u128 = match unit {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "P" => 1_000_000_000_000_000,
        "E" => 1_000_000_000_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        "Pi" => 1 << 50,
        "Ei" => 1 << 60,
        _ => return None,
    };
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return None,
        None => (number, ""),
    };
    // `12.5` is 125 over 10: no floating point, no loss.
    let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let whole = whole.parse::<u128>().ok()?.checked_mul(scale)?;
    let fraction = if fraction.is_empty() { 0 } else { fraction.parse::<u128>().ok()? };
    let total = whole.checked_add(fraction)?.checked_mul(unit)?.div_ceil(scale);
    u64::try_from(total).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: Option<u64>) {
        assert_eq!(bytes(&Quantity(text.to_owned())).ok(), want, "{text:?}");
    }

    #[test]
    fn quantities_mean_bytes() {
        check("1", Some(1));
        check("100Mi", Some(104_857_600));
        check("1k", Some(1_000));
        check("1.5Gi", Some(1_610_612_736));
        check("0.0001k", Some(1));
        check("15Ei", Some(15 << 60));
        check("16Ei", None);
        check("99999999999999999999999999999999999999999", None);
        for text in ["", "Mi", ".", "1.", ".5", "-1", "+1", "1e3", "100m", "100mb", "1 Mi", "1.2.3"]
        {
            check(text, None);
        }
        let err = bytes(&Quantity("lots".to_owned())).unwrap_err();
        assert_eq!(
            err.to_string(),
            r#""lots" is not a number of bytes, write it like 100Mi or 1G"#
        );
    }
}
