//! The bearer-token check in front of a server: HS256, `iat` within 60 seconds, else 401.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use alloy_rpc_types_engine::JwtSecret;
// Not called here: naming it selects the implementation of HMAC-SHA-256 that `JwtSecret` signs with.
use http::{HeaderMap, StatusCode, header};
use jsonrpsee::server::{HttpBody, HttpResponse};
use jsonwebtoken as _;
use tower::{Layer, Service};

/// Lets requests through that carry a valid token (Engine API authentication specification).
#[derive(Clone, Debug)]
pub(crate) struct JwtLayer {
    secret: JwtSecret,
}

impl JwtLayer {
    pub(crate) const fn new(secret: JwtSecret) -> Self {
        Self { secret }
    }
}

impl<S> Layer<S> for JwtLayer {
    type Service = JwtService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        JwtService {
            secret: self.secret,
            inner,
        }
    }
}

/// The service of [`JwtLayer`].
#[derive(Clone, Debug)]
pub(crate) struct JwtService<S> {
    secret: JwtSecret,
    inner: S,
}

impl<S, B> Service<http::Request<B>> for JwtService<S>
where
    S: Service<http::Request<B>, Response = HttpResponse>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = HttpResponse;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        match check(&self.secret, request.headers()) {
            Ok(()) => Box::pin(self.inner.call(request)),
            Err(reason) => {
                metrics::counter!("rapid_reth_rpc_unauthorized_requests_total").increment(1);
                let response = http::Response::builder()
                    .status(StatusCode::UNAUTHORIZED)
                    .header(header::CONTENT_TYPE, "text/plain; charset=utf-8")
                    .body(HttpBody::from(reason))
                    .expect("constant parts form a response");
                Box::pin(std::future::ready(Ok(response)))
            }
        }
    }
}

fn check(secret: &JwtSecret, headers: &HeaderMap) -> Result<(), String> {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(|| "Authorization header is missing or invalid".to_owned())?;
    secret.validate(token).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use alloy_rpc_types_engine::Claims;

    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())])
    }

    fn token(secret: &JwtSecret, offset_seconds: i64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        secret
            .encode(&Claims {
                iat: now.saturating_add_signed(offset_seconds),
                exp: None,
            })
            .unwrap()
    }

    #[test]
    fn a_fresh_token_of_the_same_key_passes() {
        let secret = JwtSecret::random();
        assert_eq!(
            check(&secret, &headers(&format!("Bearer {}", token(&secret, 0)))),
            Ok(())
        );
        assert_eq!(
            check(&secret, &headers(&format!("bearer {}", token(&secret, -50)))),
            Ok(())
        );
    }

    #[test]
    fn stale_foreign_and_missing_tokens_do_not() {
        let secret = JwtSecret::random();
        for offset in [-70, 70] {
            assert!(check(&secret, &headers(&format!("Bearer {}", token(&secret, offset)))).is_err());
        }
        assert!(
            check(
                &secret,
                &headers(&format!("Bearer {}", token(&JwtSecret::random(), 0)))
            )
            .is_err()
        );
        assert!(check(&secret, &headers(&format!("Basic {}", token(&secret, 0)))).is_err());
        assert!(check(&secret, &headers("Bearer")).is_err());
        assert!(check(&secret, &HeaderMap::new()).is_err());
    }
}
