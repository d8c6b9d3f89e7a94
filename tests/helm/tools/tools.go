//go:build tools

// Package tools names the programs that tests/helm builds: the Kubernetes API server, and etcd, in which
// it stores objects. Released modules of Kubernetes do not build by `go install`, because they refer to
// their siblings by folder; go.mod refers to the published ones.
package tools

import (
	_ "go.etcd.io/etcd/server/v3"
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
	_ "k8s.io/kubernetes/cmd/kube-scheduler"
	_ "k8s.io/kubernetes/cmd/kubectl"
)
