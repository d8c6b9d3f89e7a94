//! The Flight service of an executor: Ballista's, which serves shuffle data and results, with one action
//! more, by which the scheduler asks what runs here.

use std::sync::Arc;

use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::{
    Action, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, PollInfo,
    SchemaResult, Ticket,
};
use async_trait::async_trait;
use ballista_core::error::BallistaError;
use ballista_core::utils::create_grpc_server;
use ballista_executor::ArrowFlightServerProvider;
use ballista_executor::flight_service::BallistaFlightService;
use emporia_engine::running::TASKS_ACTION;
use futures::stream;
use tonic::{Request, Response, Status, Streaming};

use crate::running::Tasks;

/// Serves as Ballista does, and answers for `tasks`; messages have at most `max_message` bytes.
pub(crate) fn provider(tasks: Tasks, max_message: usize) -> Arc<ArrowFlightServerProvider> {
    Arc::new(move |work_dir, address, mut shutdown, config| {
        let service = AnsweringService {
            inner: BallistaFlightService::new(work_dir),
            tasks: tasks.clone(),
        };
        tokio::spawn(async move {
            let service = FlightServiceServer::new(service)
                .max_decoding_message_size(max_message)
                .max_encoding_message_size(max_message);
            create_grpc_server(&config)
                .add_service(service)
                .serve_with_shutdown(address, shutdown.recv())
                .await
                .map_err(BallistaError::TonicError)
        })
    })
}

struct AnsweringService {
    inner: BallistaFlightService,
    tasks: Tasks,
}

type Inner = BallistaFlightService;

#[async_trait]
impl FlightService for AnsweringService {
    type HandshakeStream = <Inner as FlightService>::HandshakeStream;
    type ListFlightsStream = <Inner as FlightService>::ListFlightsStream;
    type DoGetStream = <Inner as FlightService>::DoGetStream;
    type DoPutStream = <Inner as FlightService>::DoPutStream;
    type DoExchangeStream = <Inner as FlightService>::DoExchangeStream;
    type DoActionStream = <Inner as FlightService>::DoActionStream;
    type ListActionsStream = <Inner as FlightService>::ListActionsStream;

    async fn do_action(
        &self,
        request: Request<Action>,
    ) -> Result<Response<Self::DoActionStream>, Status> {
        if request.get_ref().r#type != TASKS_ACTION {
            return self.inner.do_action(request).await;
        }
        let body = self.tasks.answer().encode();
        let body = body.map_err(|e| Status::internal(e.to_string()))?.into();
        let answer: Self::DoActionStream =
            Box::pin(stream::iter([Ok(arrow_flight::Result { body })]));
        Ok(Response::new(answer))
    }

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        self.inner.handshake(request).await
    }

    async fn list_flights(
        &self,
        request: Request<Criteria>,
    ) -> Result<Response<Self::ListFlightsStream>, Status> {
        self.inner.list_flights(request).await
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.inner.get_flight_info(request).await
    }

    async fn poll_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        self.inner.poll_flight_info(request).await
    }

    async fn get_schema(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<SchemaResult>, Status> {
        self.inner.get_schema(request).await
    }

    async fn do_get(
        &self,
        request: Request<Ticket>,
    ) -> Result<Response<Self::DoGetStream>, Status> {
        self.inner.do_get(request).await
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        self.inner.do_put(request).await
    }

    async fn do_exchange(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        self.inner.do_exchange(request).await
    }

    async fn list_actions(
        &self,
        request: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        self.inner.list_actions(request).await
    }
}

#[cfg(test)]
mod tests {
    use emporia_engine::running::{ExecutorTasks, TaskName};
    use futures::StreamExt;

    use super::*;

    fn asked(what: &str) -> Request<Action> {
        Request::new(Action {
            r#type: what.to_owned(),
            ..Action::default()
        })
    }

    #[tokio::test]
    async fn it_says_what_runs_and_leaves_the_rest_to_ballista() {
        let tasks = Tasks::new();
        let name = TaskName {
            job: "j".to_owned(),
            stage: 1,
            task: 7,
        };
        let _running = tasks.start(name.clone());
        let service = AnsweringService {
            inner: BallistaFlightService::new("/nowhere".to_owned()),
            tasks,
        };
        let answer = service.do_action(asked(TASKS_ACTION)).await.unwrap();
        let results: Vec<_> = answer.into_inner().collect().await;
        let [Ok(result)] = results.as_slice() else {
            panic!("{results:?}");
        };
        let answer = ExecutorTasks::decode(&result.body).unwrap();
        assert_eq!(answer.running, [name]);
        let other = service.do_action(asked("OTHER")).await;
        assert!(other.is_err_and(|status| status.message().contains("OTHER")));
    }
}
