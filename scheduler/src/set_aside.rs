//! Tells with each executor of the REST API how long it is set aside. Ballista, which makes the list, does not
//! know of that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{self, Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::recovery::Shared;

/// The list of executors.
const LIST: &str = "/api/executors";
/// The field of an executor: seconds, 0 where it gets tasks.
const FIELD: &str = "set_aside_seconds";

/// Adds the field to the answer that is the list.
pub(crate) async fn tell(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let is_list = request.uri().path() == LIST;
    let answer = next.run(request).await;
    if !is_list || answer.status() != StatusCode::OK {
        return answer;
    }
    let (mut head, content) = answer.into_parts();
    let Ok(list) = body::to_bytes(content, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let list = with_field(list, &shared.aside(Instant::now()));
    head.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(head, Body::from(list))
}

/// `list` with the field; as it is where it is no list of executors.
fn with_field(list: Bytes, aside: &BTreeMap<String, Duration>) -> Bytes {
    let Ok(Value::Array(mut executors)) = serde_json::from_slice(&list) else {
        return list;
    };
    for executor in executors.iter_mut().filter_map(Value::as_object_mut) {
        let id = executor.get("id").and_then(Value::as_str);
        let left = id.and_then(|id| aside.get(id)).map_or(0, |left| {
            // One that has a part of a second left gets no tasks yet.
            left.as_secs() + u64::from(left.subsec_nanos() > 0)
        });
        executor.insert(FIELD.to_owned(), left.into());
    }
    serde_json::to_vec(&executors).map_or(list, Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executor_that_is_set_aside_is_told_apart() {
        let list = Bytes::from_static(br#"[{"id":"a","port":1},{"id":"b","port":2}]"#);
        let aside = [("b".to_owned(), Duration::from_millis(29_500))].into();
        let told = with_field(list, &aside);
        let told: Vec<Value> = serde_json::from_slice(&told).unwrap();
        assert_eq!((&told[0][FIELD], &told[1][FIELD]), (&0.into(), &30.into()));
        assert_eq!(told[1]["port"], 2);
        let other = Bytes::from_static(b"no list");
        assert_eq!(with_field(other.clone(), &aside), other);
    }
}
