module knarr/cel-oracle

go 1.20

require (
	github.com/google/cel-go v0.16.1
	k8s.io/apiextensions-apiserver v0.28.4
	k8s.io/apimachinery v0.28.4
	k8s.io/apiserver v0.28.4
)
