//! The client of a bucket: how it connects, who it says it is, how long it waits.
//!
//! Credentials are those of the mounted file if there is one, else what the environment, the web identity token of a
//! Kubernetes service account, the pod's identity agent or the instance offers, in this order.

use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    RequestChecksumCalculation, ResponseChecksumValidation, SharedHttpClient,
};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};

use crate::Said;
use crate::s3::failure::Failure;
use crate::{Kind, S3Location};

/// Servers other than Amazon's mostly ignore it, but it is signed.
const ANY_REGION: &str = "us-east-1";
const CONNECT: Duration = Duration::from_secs(5);
/// From the request to the head of its answer, but for the body that goes with it.
const ATTEMPT: Duration = Duration::from_secs(10);
/// A network that takes less in a second is too slow to upload over.
const BYTES_PER_SECOND: usize = 256 << 10;
/// Where the instance, or the pod's identity agent, hands out credentials: never behind a proxy.
const LINK_LOCAL: &str = "169.254.169.254,169.254.170.2,169.254.170.23";
/// With pauses that double from a quarter of a second, with jitter.
const ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

pub(super) async fn make(location: &S3Location) -> Result<Client, Failure> {
    let timeouts =
        TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT);
    let retries = RetryConfig::standard()
        .with_max_attempts(ATTEMPTS)
        .with_initial_backoff(FIRST_PAUSE)
        .with_max_backoff(LONGEST_PAUSE);
    let http = http_client(location).await?;
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http.clone())
        .timeout_config(timeouts.build())
        .retry_config(retries)
        // Bodies are watched by who reads them, with limits of ours.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        // Parts have digests of their own; not all servers know these.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    let config = identity(loader, http, location).load().await;
    if config.region().is_none() {
        let cure = "no region is known, name it as in s3://BUCKET/PREFIX?region=eu-west-1";
        return Err(Failure::said(Kind::Refused, cure));
    }
    let config = aws_sdk_s3::config::Builder::from(&config).force_path_style(location.path_style);
    Ok(Client::from_conf(config.build()))
}

/// How long a request with so many bytes may take.
pub(super) fn time_for(bytes: usize) -> aws_sdk_s3::config::Builder {
    let seconds = u64::try_from(bytes / BYTES_PER_SECOND).unwrap_or(u64::MAX);
    let attempt = ATTEMPT.saturating_add(Duration::from_secs(seconds));
    let timeouts =
        TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(attempt);
    aws_sdk_s3::config::Builder::new().timeout_config(timeouts.build())
}

fn identity(
    mut loader: ConfigLoader,
    http: SharedHttpClient,
    location: &S3Location,
) -> ConfigLoader {
    if let Some(endpoint) = &location.endpoint {
        loader = loader.endpoint_url(endpoint.as_str());
    }
    let region = location.region.as_deref();
    if let Some(region) = region.or(location.endpoint.as_ref().map(|_| ANY_REGION)) {
        loader = loader.region(Region::new(region.to_owned()));
    }
    if let Some(profile) = &location.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(file) = &location.credentials_file {
        #[expect(deprecated, reason = "the crate that its successor is in is not otherwise needed")]
        let files = aws_config::profile::profile_file::ProfileFiles::builder()
            .with_file(aws_config::profile::profile_file::ProfileFileKind::Credentials, file)
            .build();
        let provider = ProfileFileCredentialsProvider::builder().profile_files(files);
        // A profile may name a role to assume, which asks the network.
        let provider = provider.configure(&ProviderConfig::without_region().with_http_client(http));
        let name = location.profile.as_deref().unwrap_or("default");
        loader = loader.credentials_provider(provider.profile_name(name).build());
    }
    loader
}

async fn http_client(location: &S3Location) -> Result<SharedHttpClient, Failure> {
    let mut trusted = TrustStore::default();
    if let Some(path) = &location.ca_file {
        let read = tokio::fs::read(path).await;
        let unread = |error| {
            let text = format!("cannot read {}: {error}", path.display());
            Failure::said(Kind::Refused, &text)
        };
        trusted.add_pem_certificate(read.map_err(unread)?);
    }
    let refused = |error: &(dyn std::error::Error + 'static)| {
        let Said(text) = Said::chain(error);
        Failure::said(Kind::Refused, &text)
    };
    let tls = TlsContext::builder().with_trust_store(trusted).build();
    let tls = tls.map_err(|error| refused(&error))?;
    let proxy = match &location.proxy {
        Some(proxy) => {
            ProxyConfig::all(proxy.as_str()).map_err(|error| refused(&error))?.no_proxy(LINK_LOCAL)
        }
        None => ProxyConfig::from_env(),
    };
    Ok(Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(tls.clone())
            .proxy_config(proxy.clone());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        if let Some(settings) = settings {
            connector = connector.connector_settings(settings.clone());
        }
        connector.build()
    }))
}
