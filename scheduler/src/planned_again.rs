//! Tells with each stage of the REST API what was changed in its plan when the sizes of its inputs were known.
//! Ballista, which makes the list, does not know of that.

use std::sync::Arc;

use axum::body::{self, Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ballista_core::JobId;
use serde_json::Value;

use crate::recovery::{Replans, Shared};

/// The field of a stage: a list of sentences, empty where the plan stayed as it was.
const FIELD: &str = "planned_again";

/// Adds the field to the answer that is the list of a job's stages.
pub(crate) async fn tell(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let job = job_of(request.uri().path()).map(JobId::from);
    let answer = next.run(request).await;
    let Some(job) = job.filter(|_| answer.status() == StatusCode::OK) else {
        return answer;
    };
    let (mut head, content) = answer.into_parts();
    let Ok(list) = body::to_bytes(content, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let list = with_field(list, &job, &shared.replans);
    head.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(head, Body::from(list))
}

/// The job whose stages are asked for.
fn job_of(path: &str) -> Option<&str> {
    let job = path.strip_prefix("/api/job/")?.strip_suffix("/stages")?;
    (!job.contains('/')).then_some(job)
}

/// `list` with the field; as it is where it is no list of stages.
fn with_field(list: Bytes, job: &JobId, replans: &Replans) -> Bytes {
    let Ok(mut answer) = serde_json::from_slice::<Value>(&list) else {
        return list;
    };
    let Some(stages) = answer.get_mut("stages").and_then(Value::as_array_mut) else {
        return list;
    };
    let changes = replans.of(job);
    for stage in stages.iter_mut().filter_map(Value::as_object_mut) {
        let id = stage.get("stage_id").and_then(Value::as_str);
        let id = id.and_then(|id| id.parse::<usize>().ok());
        let changes = id.and_then(|id| changes.get(&id)).cloned();
        stage.insert(FIELD.to_owned(), changes.unwrap_or_default().into());
    }
    serde_json::to_vec(&answer).map_or(list, Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_list_of_stages_is_changed() {
        assert_eq!(job_of("/api/job/j/stages"), Some("j"));
        for path in ["/api/jobs", "/api/job/j", "/api/job/j/stage/1/stages"] {
            assert_eq!(job_of(path), None, "{path}");
        }
    }

    #[test]
    fn stages_without_changes_have_an_empty_list() {
        let list = Bytes::from_static(br#"{"stages":[{"stage_id":"1"},{"stage_id":"2"}],"x":1}"#);
        let told = with_field(list, &JobId::from("j"), &Replans::default());
        let told: Value = serde_json::from_slice(&told).unwrap();
        for stage in told["stages"].as_array().unwrap() {
            assert_eq!(stage[FIELD], Value::Array(Vec::new()));
        }
        assert_eq!(told["x"], 1);
        let other = Bytes::from_static(b"no list");
        let same = with_field(other.clone(), &JobId::from("j"), &Replans::default());
        assert_eq!(same, other);
    }
}
