//! The API server of a run. It contains nothing of an earlier run.

use crate::Failure;
use crate::kubernetes::{Counter, connect};
use crate::time::Time;
use api::{CognigyDeployment, crd};
use control_plane::ControlPlane;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::PostParams;
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, ResourceExt};
use std::path::PathBuf;

/// A control plane with the CRD in place.
pub struct Stage {
    control_plane: ControlPlane,
}

impl Stage {
    /// Starts a control plane, and installs the CRD.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn start() -> Result<Self, Failure> {
        let control_plane = ControlPlane::start(control_plane::Options::default()).await?;
        let stage = Self { control_plane };
        let client = stage.client(&Time::new()).await?;
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        for definition in crd::definitions() {
            definitions.create(&PostParams::default(), &definition).await?;
            await_condition(definitions.clone(), &definition.name_any(), conditions::is_crd_established()).await?;
        }
        Api::<CognigyDeployment>::all(client).list(&kube::api::ListParams::default().limit(1)).await?;
        Ok(stage)
    }

    /// The administrator's client, on the caller's runtime. This virtual time does not jump during its requests.
    ///
    /// # Errors
    /// If the kubeconfig cannot be used.
    pub async fn client(&self, time: &Time) -> Result<Client, Failure> {
        connect(&self.kubeconfig(), time, &Counter::default()).await
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.control_plane.kubeconfig_path()
    }

    /// Stops the control plane.
    pub fn stop(self) {
        self.control_plane.stop();
    }
}
