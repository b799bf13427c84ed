//! An API server that knows Leases only, inside the process, with faults on demand.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::http::{Method, Request, Response, StatusCode};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::client::Body;
use serde_json::json;
use tokio::time::sleep;

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing.
    None,
    /// 409 though nothing was changed; writes only.
    Conflict,
    /// 503.
    Unavailable,
    /// It never arrives.
    Unheard,
    /// It is carried out, and the answer is lost.
    Unanswered,
    /// It arrives after this time, when the client has given up; the answer is lost.
    Late(Duration),
    /// The answer takes this time.
    Slow(Duration),
}

/// One Lease with its version. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Server(Arc<Mutex<Stored>>);

#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) lease: Option<Lease>,
    /// Keeps rising through a deletion.
    version: u64,
    pub(super) writes: u64,
}

impl Server {
    /// A client of this server; `fault` is asked before each of its requests.
    pub(super) fn client(
        &self,
        fault: impl FnMut(&Method) -> Fault + Send + 'static,
    ) -> kube::Client {
        let (server, fault) = (self.clone(), Arc::new(Mutex::new(fault)));
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            let fault = (*fault.lock().unwrap())(request.method());
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect_bytes().await.unwrap();
                Ok::<_, Infallible>(server.answer(&parts.method, &body, fault).await)
            }
        });
        kube::Client::new(service, "default")
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Stored> {
        self.0.lock().unwrap()
    }

    pub(super) fn spec(&self) -> LeaseSpec {
        self.lock().lease.clone().unwrap().spec.unwrap()
    }

    async fn answer(&self, method: &Method, body: &[u8], fault: Fault) -> Response<Body> {
        match fault {
            Fault::None => self.carry_out(method, body),
            Fault::Conflict if *method != Method::GET => status(StatusCode::CONFLICT),
            Fault::Conflict => self.carry_out(method, body),
            Fault::Unavailable => status(StatusCode::SERVICE_UNAVAILABLE),
            Fault::Unheard => std::future::pending().await,
            Fault::Unanswered => {
                self.carry_out(method, body);
                std::future::pending().await
            }
            Fault::Late(delay) => {
                let (server, method, body) = (self.clone(), method.clone(), body.to_vec());
                tokio::spawn(async move {
                    sleep(delay).await;
                    server.carry_out(&method, &body);
                });
                std::future::pending().await
            }
            Fault::Slow(delay) => {
                let answer = self.carry_out(method, body);
                sleep(delay).await;
                answer
            }
        }
    }

    fn carry_out(&self, method: &Method, body: &[u8]) -> Response<Body> {
        let mut stored = self.lock();
        if *method == Method::GET {
            return match &stored.lease {
                Some(lease) => object(lease),
                None => status(StatusCode::NOT_FOUND),
            };
        }
        let mut lease: Lease = serde_json::from_slice(body).unwrap();
        let known = stored.lease.as_ref().map(|lease| lease.metadata.resource_version.clone());
        match (method, known) {
            (&Method::POST, None) => {}
            (&Method::PUT, Some(version)) if version == lease.metadata.resource_version => {}
            (&Method::PUT, None) => return status(StatusCode::NOT_FOUND),
            (&Method::POST | &Method::PUT, Some(_)) => return status(StatusCode::CONFLICT),
            (other, _) => panic!("the Lease module does not {other}"),
        }
        stored.version += 1;
        stored.writes += 1;
        lease.metadata.resource_version = Some(stored.version.to_string());
        let answer = object(&lease);
        stored.lease = Some(lease);
        answer
    }
}

fn object(lease: &Lease) -> Response<Body> {
    Response::new(Body::from(serde_json::to_vec(lease).unwrap()))
}

fn status(code: StatusCode) -> Response<Body> {
    let reason = code.canonical_reason().unwrap().replace(' ', "");
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "message": "as the fake wants it", "reason": reason, "code": code.as_u16(),
    });
    let mut response = Response::new(Body::from(body.to_string().into_bytes()));
    *response.status_mut() = code;
    response
}
