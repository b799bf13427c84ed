//! A bucket of S3, or of what speaks like it, as a store.
//!
//! The client is made when it is first needed, and anew after the store denied access or showed a certificate that is not
//! trusted: then the mounted files may have been changed.

mod client;
mod failure;
mod large;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use ledger::LeaderTs;
use ledger::snapshot::ObjectKey;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::s3::failure::Failure;
use crate::{Condition, Found, Kind, Listed, Rate, S3Location, Stat, Store, StoreError, Tag};

/// The user metadata of the original.
const CHECKSUM: &str = "checksum";
/// A body of which nothing came for so long will not come.
const STALLED: Duration = Duration::from_secs(15);
/// A piece comes within this, or the network is too slow to start a node over.
const WHOLE: Duration = Duration::from_secs(300);

/// A bucket.
#[derive(Debug)]
pub struct S3Store {
    location: S3Location,
    client: Mutex<Option<Client>>,
}

impl S3Store {
    /// Touches neither network nor disk.
    #[must_use]
    pub fn new(location: S3Location) -> Self {
        Self { location, client: Mutex::new(None) }
    }

    /// Asks the bucket once; what is the matter is said in the store's words.
    async fn ask<T>(
        &self,
        verb: &'static str,
        key: &str,
        question: impl AsyncFnOnce(Request) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let S3Location { bucket, prefix, .. } = &self.location;
        let (object, server) = (format!("s3://{bucket}/{prefix}{key}"), server(&self.location));
        let client = {
            let mut known = self.client.lock().await;
            match &*known {
                Some(client) => client.clone(),
                None => {
                    let made = client::make(&self.location).await;
                    let made = made.map_err(|failure| failure.of(verb, &object, &server))?;
                    known.insert(made).clone()
                }
            }
        };
        let request = Request { client, bucket: bucket.clone(), key: format!("{prefix}{key}") };
        let outcome = question(request).await;
        if outcome.as_ref().is_err_and(Failure::is_of_the_client) {
            *self.client.lock().await = None;
        }
        outcome.map_err(|failure| failure.of(verb, &object, &server))
    }
}

/// Who is asked, for messages.
fn server(location: &S3Location) -> String {
    match (&location.endpoint, &location.region) {
        (Some(endpoint), _) => endpoint.as_str().trim_end_matches('/').to_owned(),
        (None, Some(region)) => format!("S3 in {region}"),
        (None, None) => "S3".to_owned(),
    }
}

/// What every request names.
struct Request {
    client: Client,
    bucket: String,
    key: String,
}

#[async_trait]
impl Store for S3Store {
    fn place(&self) -> String {
        format!("s3://{}/{}", self.location.bucket, self.location.prefix)
    }

    async fn get(&self, key: &ObjectKey, limit: u64) -> Result<Found, StoreError> {
        let read = async |Request { client, bucket, key }: Request| {
            let sent = client.get_object().bucket(bucket).key(key).send().await;
            let answer = sent.map_err(Failure::of_request)?;
            let tag = answer.e_tag().map(|tag| Tag(tag.to_owned()));
            let tag = tag.ok_or_else(|| Failure::said(Kind::Refused, "it gave no ETag"))?;
            let bytes = body(answer.body, answer.content_length, limit).await?;
            Ok(Found { bytes, tag })
        };
        self.ask("read", key.as_str(), read).await
    }

    async fn get_range(
        &self,
        key: &ObjectKey,
        offset: u64,
        bytes: u64,
    ) -> Result<Vec<u8>, StoreError> {
        let read = async |Request { client, bucket, key }: Request| {
            let Some(last) = offset.checked_add(bytes).and_then(|end| end.checked_sub(1)) else {
                return Err(Failure::said(Kind::Refused, "no such range"));
            };
            let range = format!("bytes={offset}-{last}");
            let sent = client.get_object().bucket(bucket).key(key).range(range).send().await;
            match sent.map_err(Failure::of_request) {
                Ok(answer) => {
                    let begins = format!("bytes {offset}-");
                    if !answer.content_range().is_some_and(|range| range.starts_with(&begins)) {
                        let text = "it sent another range than it was asked for";
                        return Err(Failure::said(Kind::Refused, text));
                    }
                    body(answer.body, answer.content_length, bytes).await
                }
                Err(failure) if failure.is_past_the_end() => Ok(Vec::new()),
                Err(failure) => Err(failure),
            }
        };
        self.ask("read", key.as_str(), read).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<Stat, StoreError> {
        let look = async |Request { client, bucket, key }: Request| {
            let sent = client.head_object().bucket(bucket).key(key).send().await;
            let answer = sent.map_err(Failure::of_request)?;
            Ok(Stat {
                bytes: size(answer.content_length)?,
                modified: time(answer.last_modified.as_ref())?,
                checksum: answer.metadata.and_then(|mut all| all.remove(CHECKSUM)),
            })
        };
        self.ask("look at", key.as_str(), look).await
    }

    async fn put(&self, key: &ObjectKey, body: Vec<u8>, when: Condition) -> Result<(), StoreError> {
        let write = async |Request { client, bucket, key }: Request| {
            let time = client::time_for(body.len());
            let put = client.put_object().bucket(bucket).key(key).body(ByteStream::from(body));
            let put = match &when {
                Condition::Always => put,
                Condition::Absent => put.if_none_match("*"),
                Condition::Is(Tag(tag)) => put.if_match(tag),
            };
            let sent = put.customize().config_override(time).send().await;
            sent.map(drop).map_err(Failure::of_request).map_err(|failure| match when {
                Condition::Always => failure,
                Condition::Absent | Condition::Is(_) => failure.of_condition(),
            })
        };
        self.ask("write", key.as_str(), write).await
    }

    async fn put_file(
        &self,
        key: &ObjectKey,
        file: &Path,
        checksum: &str,
        rate: Rate,
    ) -> Result<(), StoreError> {
        let write = async |request: Request| large::put(request, file, checksum, rate).await;
        self.ask("write", key.as_str(), write).await
    }

    async fn list(
        &self,
        prefix: &str,
        each: &mut (dyn FnMut(Listed) + Send),
    ) -> Result<(), StoreError> {
        let own = self.location.prefix.len();
        let walk = async |Request { client, bucket, key }: Request| {
            let list = client.list_objects_v2().bucket(bucket).prefix(key);
            let mut pages = list.into_paginator().send();
            while let Some(page) = pages.next().await {
                for object in page.map_err(Failure::of_request)?.contents.unwrap_or_default() {
                    let Some(key) = object.key.as_deref().and_then(|key| key.get(own..)) else {
                        continue;
                    };
                    each(Listed {
                        key: key.to_owned(),
                        bytes: size(object.size)?,
                        modified: time(object.last_modified.as_ref())?,
                    });
                }
            }
            Ok(())
        };
        self.ask("list", prefix, walk).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError> {
        let remove = async |Request { client, bucket, key }: Request| {
            let sent = client.delete_object().bucket(bucket).key(key).send().await;
            match sent.map_err(Failure::of_request) {
                Err(failure) if !failure.is_not_found() => Err(failure),
                Ok(_) | Err(_) => Ok(()),
            }
        };
        self.ask("remove", key.as_str(), remove).await
    }
}

/// The whole body, if it comes steadily and is as long as it should be.
async fn body(stream: ByteStream, length: Option<i64>, limit: u64) -> Result<Vec<u8>, Failure> {
    let length = size(length)?;
    if length > limit {
        return Err(Failure::said(Kind::TooLarge, &format!("it has {length} bytes")));
    }
    let slow = |_| Failure::said(Kind::Unavailable, "its content comes too slowly");
    timeout(WHOLE, collect(stream, length)).await.map_err(slow)?
}

async fn collect(mut stream: ByteStream, length: u64) -> Result<Vec<u8>, Failure> {
    let wanted = usize::try_from(length).map_err(|_| Failure::said(Kind::TooLarge, "no memory"))?;
    let mut bytes = Vec::with_capacity(wanted);
    let stalled = |_| Failure::said(Kind::Unavailable, "its content stopped coming");
    while let Some(chunk) = timeout(STALLED, stream.next()).await.map_err(stalled)? {
        let chunk = chunk.map_err(|error| Failure::of_stream(&error))?;
        bytes.extend_from_slice(&chunk);
        if bytes.len() > wanted {
            break;
        }
    }
    if bytes.len() == wanted {
        return Ok(bytes);
    }
    let text = format!("{} bytes came instead of {wanted}", bytes.len());
    Err(Failure::said(Kind::Unavailable, &text))
}

fn size(bytes: Option<i64>) -> Result<u64, Failure> {
    let size = bytes.and_then(|bytes| u64::try_from(bytes).ok());
    size.ok_or_else(|| Failure::said(Kind::Unavailable, "it did not say how long it is"))
}

fn time(modified: Option<&DateTime>) -> Result<LeaderTs, Failure> {
    let micros = modified.and_then(|time| i64::try_from(time.as_nanos() / 1000).ok());
    let time = micros.map(LeaderTs::from_micros);
    time.ok_or_else(|| Failure::said(Kind::Unavailable, "it did not say when it was written"))
}
