//! An object of any size from a file: in one piece if it is small, else in parts that appear together at the end.

use std::path::Path;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

use crate::s3::client::time_for;
use crate::s3::failure::Failure;
use crate::s3::{CHECKSUM, Request};
use crate::{Kind, Rate};

/// As the original cuts. Ten thousand of them are 160 GB, sixteen times the largest LDB.
const PART: usize = 16 << 20;

pub(super) async fn put(
    request: Request,
    file: &Path,
    checksum: &str,
    rate: Rate,
) -> Result<(), Failure> {
    let start = Instant::now();
    let mut file = File::open(file).await.map_err(local)?;
    let first = next(&mut file).await?;
    if first.len() < PART {
        let Request { client, bucket, key } = request;
        let put = client.put_object().bucket(bucket).key(key).metadata(CHECKSUM, checksum);
        let bytes = first.len();
        let put = put.body(ByteStream::from(first)).customize().config_override(time_for(bytes));
        put.send().await.map_err(Failure::of_request)?;
        rate.pace(start, length(bytes)).await;
        return Ok(());
    }
    let Request { client, bucket, key } = &request;
    let create = client.create_multipart_upload().bucket(bucket).key(key);
    let sent = create.metadata(CHECKSUM, checksum).send().await;
    let upload = sent.map_err(Failure::of_request)?.upload_id.unwrap_or_default();
    let parts = Parts { request: &request, upload: &upload, rate };
    match parts.all(file, first).await {
        Ok(()) => Ok(()),
        Err(failure) => {
            // Its parts are paid for until somebody removes them. If this fails, too, a lifecycle rule has to.
            let abort = client.abort_multipart_upload().bucket(bucket).key(key);
            drop(abort.upload_id(&upload).send().await);
            Err(failure)
        }
    }
}

struct Parts<'a> {
    request: &'a Request,
    upload: &'a str,
    rate: Rate,
}

impl Parts<'_> {
    async fn all(&self, mut file: File, first: Vec<u8>) -> Result<(), Failure> {
        let Request { client, bucket, key } = self.request;
        let (mut done, mut bytes) = (CompletedMultipartUpload::builder(), first);
        for number in 1_i32.. {
            let (start, sent) = (Instant::now(), length(bytes.len()));
            done = done.parts(self.one(client, number, bytes).await?);
            self.rate.pace(start, sent).await;
            bytes = next(&mut file).await?;
            if bytes.is_empty() {
                break;
            }
        }
        let complete = client.complete_multipart_upload().bucket(bucket).key(key);
        let complete = complete.upload_id(self.upload).multipart_upload(done.build());
        // The store puts them together meanwhile.
        let sent = complete.customize().config_override(time_for(PART)).send().await;
        sent.map(drop).map_err(Failure::of_request)
    }

    async fn one(
        &self,
        client: &Client,
        number: i32,
        bytes: Vec<u8>,
    ) -> Result<CompletedPart, Failure> {
        let upload = client.upload_part().bucket(&self.request.bucket).key(&self.request.key);
        let upload = upload.upload_id(self.upload).part_number(number);
        let time = time_for(bytes.len());
        let upload = upload.body(ByteStream::from(bytes)).customize().config_override(time);
        let sent = upload.send().await.map_err(Failure::of_request)?;
        Ok(CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag).build())
    }
}

async fn next(file: &mut File) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    file.take(length(PART)).read_to_end(&mut bytes).await.map_err(local)?;
    Ok(bytes)
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn local(error: std::io::Error) -> Failure {
    Failure::of_stream(&error).with(Kind::Refused)
}
