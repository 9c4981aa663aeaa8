// The Prometheus Operator's definitions of its kinds, which the chart's monitors and rules are judged by. Nothing of it is
// built: the tests read the files of the module, which `go mod download` checks against go.sum. `go mod tidy` would leave
// it out, since no Go code imports it; "go get github.com/prometheus-operator/prometheus-operator@vX.Y.Z" moves to another.
module github.com/cognigy-operator/cognigy-operator/dev/tools/monitoring

go 1.26

require github.com/prometheus-operator/prometheus-operator v0.85.0 // indirect
