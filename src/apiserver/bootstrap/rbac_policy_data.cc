// SPDX-License-Identifier: Apache-2.0
// The RBAC objects of a new cluster, as plugin/pkg/auth/authorizer/rbac/bootstrappolicy defines
// them for 1.28 without alpha features.
//
// clusterrole NAME [LABEL...], role NAMESPACE/NAME: then indented rules, "VERBS GROUPS RESOURCES
// [NAMES]" ("core" is the group "") or "VERBS url PATHS" or "aggregate LABEL"; LABEL is prefixed
// with rbac.authorization.k8s.io/ and has the value "true". clusterrolebinding NAME SUBJECT...
// binds the clusterrole of that name; rolebinding NAMESPACE/NAME -> ROLE SUBJECT...
namespace knarr::apiserver::bootstrap {

extern const char kRbacPolicy[];
const char kRbacPolicy[] = R"policy(
clusterrole admin
  aggregate aggregate-to-admin
clusterrole cluster-admin
  * * *
  * url *
clusterrole edit aggregate-to-admin
  aggregate aggregate-to-edit
clusterrole system:aggregate-to-admin aggregate-to-admin
  create authorization.k8s.io localsubjectaccessreviews
  create,delete,deletecollection,get,list,patch,update,watch rbac.authorization.k8s.io rolebindings,roles
clusterrole system:aggregate-to-edit aggregate-to-edit
  get,list,watch core pods/attach,pods/exec,pods/portforward,pods/proxy,secrets,services/proxy
  impersonate core serviceaccounts
  create,delete,deletecollection,patch,update core pods,pods/attach,pods/exec,pods/portforward,pods/proxy
  create core pods/eviction
  create,delete,deletecollection,patch,update core configmaps,events,persistentvolumeclaims,replicationcontrollers,replicationcontrollers/scale,secrets,serviceaccounts,services,services/proxy
  create core serviceaccounts/token
  create,delete,deletecollection,patch,update apps daemonsets,deployments,deployments/rollback,deployments/scale,replicasets,replicasets/scale,statefulsets,statefulsets/scale
  create,delete,deletecollection,patch,update autoscaling horizontalpodautoscalers
  create,delete,deletecollection,patch,update batch cronjobs,jobs
  create,delete,deletecollection,patch,update extensions daemonsets,deployments,deployments/rollback,deployments/scale,ingresses,networkpolicies,replicasets,replicasets/scale,replicationcontrollers/scale
  create,delete,deletecollection,patch,update policy poddisruptionbudgets
  create,delete,deletecollection,patch,update networking.k8s.io ingresses,networkpolicies
  create,delete,deletecollection,get,list,patch,update,watch coordination.k8s.io leases
clusterrole system:aggregate-to-view aggregate-to-view
  get,list,watch core configmaps,endpoints,persistentvolumeclaims,persistentvolumeclaims/status,pods,replicationcontrollers,replicationcontrollers/scale,serviceaccounts,services,services/status
  get,list,watch core bindings,events,limitranges,namespaces/status,pods/log,pods/status,replicationcontrollers/status,resourcequotas,resourcequotas/status
  get,list,watch core namespaces
  get,list,watch discovery.k8s.io endpointslices
  get,list,watch apps controllerrevisions,daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,replicasets,replicasets/scale,replicasets/status,statefulsets,statefulsets/scale,statefulsets/status
  get,list,watch autoscaling horizontalpodautoscalers,horizontalpodautoscalers/status
  get,list,watch batch cronjobs,cronjobs/status,jobs,jobs/status
  get,list,watch extensions daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,ingresses,ingresses/status,networkpolicies,replicasets,replicasets/scale,replicasets/status,replicationcontrollers/scale
  get,list,watch policy poddisruptionbudgets,poddisruptionbudgets/status
  get,list,watch networking.k8s.io ingresses,ingresses/status,networkpolicies
clusterrole system:auth-delegator
  create authentication.k8s.io tokenreviews
  create authorization.k8s.io subjectaccessreviews
clusterrole system:basic-user
  create authorization.k8s.io selfsubjectaccessreviews,selfsubjectrulesreviews
  create authentication.k8s.io selfsubjectreviews
clusterrole system:certificates.k8s.io:certificatesigningrequests:nodeclient
  create certificates.k8s.io certificatesigningrequests/nodeclient
clusterrole system:certificates.k8s.io:certificatesigningrequests:selfnodeclient
  create certificates.k8s.io certificatesigningrequests/selfnodeclient
clusterrole system:certificates.k8s.io:kube-apiserver-client-approver
  approve certificates.k8s.io signers kubernetes.io/kube-apiserver-client
clusterrole system:certificates.k8s.io:kube-apiserver-client-kubelet-approver
  approve certificates.k8s.io signers kubernetes.io/kube-apiserver-client-kubelet
clusterrole system:certificates.k8s.io:kubelet-serving-approver
  approve certificates.k8s.io signers kubernetes.io/kubelet-serving
clusterrole system:certificates.k8s.io:legacy-unknown-approver
  approve certificates.k8s.io signers kubernetes.io/legacy-unknown
clusterrole system:discovery
  get url /api,/api/*,/apis,/apis/*,/healthz,/livez,/openapi,/openapi/*,/readyz,/version,/version/
clusterrole system:heapster
  get,list,watch core events,namespaces,nodes,pods
  get,list,watch extensions deployments
clusterrole system:kube-aggregator
  get,list,watch core endpoints,services
clusterrole system:kube-controller-manager
  create,patch,update core,events.k8s.io events
  create coordination.k8s.io leases
  get,update coordination.k8s.io leases kube-controller-manager
  create core secrets,serviceaccounts
  delete core secrets
  get core configmaps,namespaces,secrets,serviceaccounts
  update core secrets,serviceaccounts
  create authentication.k8s.io tokenreviews
  create authorization.k8s.io subjectaccessreviews
  list,watch * *
  create core serviceaccounts/token
clusterrole system:kube-dns
  list,watch core endpoints,services
clusterrole system:kube-scheduler
  create,patch,update core,events.k8s.io events
  create coordination.k8s.io leases
  get,update coordination.k8s.io leases kube-scheduler
  get,list,watch core nodes
  delete,get,list,watch core pods
  create core bindings,pods/binding
  patch,update core pods/status
  get,list,watch core replicationcontrollers,services
  get,list,watch apps,extensions replicasets
  get,list,watch apps statefulsets
  get,list,watch policy poddisruptionbudgets
  get,list,watch core persistentvolumeclaims,persistentvolumes
  create authentication.k8s.io tokenreviews
  create authorization.k8s.io subjectaccessreviews
  get,list,watch storage.k8s.io csinodes
  get,list,watch core namespaces
  get,list,watch storage.k8s.io csidrivers
  get,list,watch storage.k8s.io csistoragecapacities
clusterrole system:kubelet-api-admin
  get,list,watch core nodes
  proxy core nodes
  * core nodes/log,nodes/metrics,nodes/proxy,nodes/stats
clusterrole system:monitoring
  get url /healthz,/healthz/*,/livez,/livez/*,/metrics,/metrics/slis,/readyz,/readyz/*
clusterrole system:node
  create authentication.k8s.io tokenreviews
  create authorization.k8s.io localsubjectaccessreviews,subjectaccessreviews
  get,list,watch core services
  create,get,list,watch core nodes
  patch,update core nodes/status
  patch,update core nodes
  create,patch,update core events
  get,list,watch core pods
  create,delete core pods
  patch,update core pods/status
  create core pods/eviction
  get,list,watch core configmaps,secrets
  get core persistentvolumeclaims,persistentvolumes
  get core endpoints
  create,get,list,watch certificates.k8s.io certificatesigningrequests
  create,delete,get,patch,update coordination.k8s.io leases
  get storage.k8s.io volumeattachments
  create core serviceaccounts/token
  get,patch,update core persistentvolumeclaims/status
  get,list,watch storage.k8s.io csidrivers
  create,delete,get,patch,update storage.k8s.io csinodes
  get,list,watch node.k8s.io runtimeclasses
clusterrole system:node-bootstrapper
  create,get,list,watch certificates.k8s.io certificatesigningrequests
clusterrole system:node-problem-detector
  get core nodes
  patch core nodes/status
  create,patch,update core,events.k8s.io events
clusterrole system:node-proxier
  list,watch core endpoints,services
  get,list,watch core nodes
  create,patch,update core,events.k8s.io events
  list,watch discovery.k8s.io endpointslices
clusterrole system:persistent-volume-provisioner
  create,delete,get,list,watch core persistentvolumes
  get,list,update,watch core persistentvolumeclaims
  get,list,watch storage.k8s.io storageclasses
  watch core events
  create,patch,update core,events.k8s.io events
clusterrole system:public-info-viewer
  get url /healthz,/livez,/readyz,/version,/version/
clusterrole system:service-account-issuer-discovery
  get url /.well-known/openid-configuration,/.well-known/openid-configuration/,/openid/v1/jwks,/openid/v1/jwks/
clusterrole system:volume-scheduler
  get,list,patch,update,watch core persistentvolumes
  get,list,watch storage.k8s.io storageclasses
  get,list,patch,update,watch core persistentvolumeclaims
clusterrole view aggregate-to-edit
  aggregate aggregate-to-view
clusterrole system:controller:attachdetach-controller
  list,watch core persistentvolumeclaims,persistentvolumes
  get,list,watch core nodes
  patch,update core nodes/status
  list,watch core pods
  create,patch,update core,events.k8s.io events
  create,delete,get,list,watch storage.k8s.io volumeattachments
  get,list,watch storage.k8s.io csidrivers
  get,list,watch storage.k8s.io csinodes
clusterrole system:controller:certificate-controller
  delete,get,list,watch certificates.k8s.io certificatesigningrequests
  update certificates.k8s.io certificatesigningrequests/approval,certificatesigningrequests/status
  approve certificates.k8s.io signers kubernetes.io/kube-apiserver-client-kubelet
  sign certificates.k8s.io signers kubernetes.io/kube-apiserver-client,kubernetes.io/kube-apiserver-client-kubelet,kubernetes.io/kubelet-serving,kubernetes.io/legacy-unknown
  create authorization.k8s.io subjectaccessreviews
  create,patch,update core,events.k8s.io events
clusterrole system:controller:clusterrole-aggregation-controller
  escalate,get,list,patch,update,watch rbac.authorization.k8s.io clusterroles
clusterrole system:controller:cronjob-controller
  get,list,update,watch batch cronjobs
  create,delete,get,list,patch,update,watch batch jobs
  update batch cronjobs/status
  update batch cronjobs/finalizers
  delete,list core pods
  create,patch,update core,events.k8s.io events
clusterrole system:controller:daemon-set-controller
  get,list,watch apps,extensions daemonsets
  update apps,extensions daemonsets/status
  update apps,extensions daemonsets/finalizers
  list,watch core nodes
  create,delete,list,patch,watch core pods
  create core pods/binding
  create,delete,get,list,patch,update,watch apps controllerrevisions
  create,patch,update core,events.k8s.io events
clusterrole system:controller:deployment-controller
  get,list,update,watch apps,extensions deployments
  update apps,extensions deployments/status
  update apps,extensions deployments/finalizers
  create,delete,get,list,patch,update,watch apps,extensions replicasets
  get,list,update,watch core pods
  create,patch,update core,events.k8s.io events
clusterrole system:controller:disruption-controller
  get,list,watch apps,extensions deployments
  get,list,watch apps,extensions replicasets
  get,list,watch core replicationcontrollers
  get,list,watch policy poddisruptionbudgets
  get,list,watch apps statefulsets
  update policy poddisruptionbudgets/status
  get * */scale
  create,patch,update core,events.k8s.io events
  patch,update core pods/status
clusterrole system:controller:endpoint-controller
  get,list,watch core pods,services
  create,delete,get,list,update core endpoints
  create core endpoints/restricted
  create,patch,update core,events.k8s.io events
clusterrole system:controller:endpointslice-controller
  get,list,watch core nodes,pods,services
  update core services/finalizers
  create,delete,get,list,update discovery.k8s.io endpointslices
  create,patch,update core,events.k8s.io events
clusterrole system:controller:endpointslicemirroring-controller
  get,list,watch core endpoints,services
  update core services/finalizers
  update core endpoints/finalizers
  create,delete,get,list,update discovery.k8s.io endpointslices
  create,patch,update core,events.k8s.io events
clusterrole system:controller:ephemeral-volume-controller
  get,list,watch core pods
  update core pods/finalizers
  create,get,list,watch core persistentvolumeclaims
  create,patch,update core,events.k8s.io events
clusterrole system:controller:expand-controller
  get,list,patch,update,watch core persistentvolumes
  patch,update core persistentvolumeclaims/status
  get,list,watch core persistentvolumeclaims
  get,list,watch storage.k8s.io storageclasses
  get core endpoints,services
  get core secrets
  create,patch,update core,events.k8s.io events
clusterrole system:controller:generic-garbage-collector
  delete,get,list,patch,update,watch * *
  create,patch,update core,events.k8s.io events
clusterrole system:controller:horizontal-pod-autoscaler
  get,list,watch autoscaling horizontalpodautoscalers
  update autoscaling horizontalpodautoscalers/status
  get,update * */scale
  list core pods
  list metrics.k8s.io pods
  get,list custom.metrics.k8s.io *
  get,list external.metrics.k8s.io *
  create,patch,update core,events.k8s.io events
clusterrole system:controller:job-controller
  get,list,patch,update,watch batch jobs
  update batch jobs/status
  update batch jobs/finalizers
  create,delete,list,patch,watch core pods
  create,patch,update core,events.k8s.io events
clusterrole system:controller:namespace-controller
  delete,get,list,watch core namespaces
  update core namespaces/finalize,namespaces/status
  delete,deletecollection,get,list * *
clusterrole system:controller:node-controller
  delete,get,list,patch,update core nodes
  patch,update core nodes/status
  patch,update core pods/status
  delete,list core pods
  create,get,list,update networking.k8s.io clustercidrs
  create,patch,update core,events.k8s.io events
  get core pods
clusterrole system:controller:persistent-volume-binder
  create,delete,get,list,update,watch core persistentvolumes
  update core persistentvolumes/status
  get,list,update,watch core persistentvolumeclaims
  update core persistentvolumeclaims/status
  create,delete,get,list,watch core pods
  get,list,watch storage.k8s.io storageclasses
  create,delete,get,update core endpoints
  create,delete,get core services
  get core secrets
  get,list core nodes
  watch core events
  create,patch,update core,events.k8s.io events
clusterrole system:controller:pod-garbage-collector
  delete,list,watch core pods
  get,list core nodes
  patch core pods/status
clusterrole system:controller:pv-protection-controller
  get,list,update,watch core persistentvolumes
  create,patch,update core,events.k8s.io events
clusterrole system:controller:pvc-protection-controller
  get,list,update,watch core persistentvolumeclaims
  get,list,watch core pods
  create,patch,update core,events.k8s.io events
clusterrole system:controller:replicaset-controller
  get,list,update,watch apps,extensions replicasets
  update apps,extensions replicasets/status
  update apps,extensions replicasets/finalizers
  create,delete,list,patch,watch core pods
  create,patch,update core,events.k8s.io events
clusterrole system:controller:replication-controller
  get,list,update,watch core replicationcontrollers
  update core replicationcontrollers/status
  update core replicationcontrollers/finalizers
  create,delete,list,patch,watch core pods
  create,patch,update core,events.k8s.io events
clusterrole system:controller:resourcequota-controller
  list,watch * *
  update core resourcequotas/status
  create,patch,update core,events.k8s.io events
clusterrole system:controller:root-ca-cert-publisher
  create,update core configmaps
  create,patch,update core,events.k8s.io events
clusterrole system:controller:route-controller
  list,watch core nodes
  patch core nodes/status
  create,patch,update core,events.k8s.io events
clusterrole system:controller:service-account-controller
  create core serviceaccounts
  create,patch,update core,events.k8s.io events
clusterrole system:controller:service-controller
  get,list,watch core services
  patch,update core services/status
  list,watch core nodes
  create,patch,update core,events.k8s.io events
clusterrole system:controller:statefulset-controller
  list,watch core pods
  get,list,watch apps statefulsets
  update apps statefulsets/status
  update apps statefulsets/finalizers
  create,delete,get,patch,update core pods
  create,delete,get,list,patch,update,watch apps controllerrevisions
  create,get core persistentvolumeclaims
  create,patch,update core,events.k8s.io events
  delete,update core persistentvolumeclaims
clusterrole system:controller:ttl-after-finished-controller
  delete,get,list,watch batch jobs
  create,patch,update core,events.k8s.io events
clusterrole system:controller:ttl-controller
  list,patch,update,watch core nodes
  create,patch,update core,events.k8s.io events
clusterrolebinding cluster-admin group:system:masters
clusterrolebinding system:basic-user group:system:authenticated
clusterrolebinding system:discovery group:system:authenticated
clusterrolebinding system:kube-controller-manager user:system:kube-controller-manager
clusterrolebinding system:kube-dns sa:kube-system/kube-dns
clusterrolebinding system:kube-scheduler user:system:kube-scheduler
clusterrolebinding system:monitoring group:system:monitoring
clusterrolebinding system:node
clusterrolebinding system:node-proxier user:system:kube-proxy
clusterrolebinding system:public-info-viewer group:system:authenticated group:system:unauthenticated
clusterrolebinding system:service-account-issuer-discovery group:system:serviceaccounts
clusterrolebinding system:volume-scheduler user:system:kube-scheduler
clusterrolebinding system:controller:attachdetach-controller sa:kube-system/attachdetach-controller
clusterrolebinding system:controller:certificate-controller sa:kube-system/certificate-controller
clusterrolebinding system:controller:clusterrole-aggregation-controller sa:kube-system/clusterrole-aggregation-controller
clusterrolebinding system:controller:cronjob-controller sa:kube-system/cronjob-controller
clusterrolebinding system:controller:daemon-set-controller sa:kube-system/daemon-set-controller
clusterrolebinding system:controller:deployment-controller sa:kube-system/deployment-controller
clusterrolebinding system:controller:disruption-controller sa:kube-system/disruption-controller
clusterrolebinding system:controller:endpoint-controller sa:kube-system/endpoint-controller
clusterrolebinding system:controller:endpointslice-controller sa:kube-system/endpointslice-controller
clusterrolebinding system:controller:endpointslicemirroring-controller sa:kube-system/endpointslicemirroring-controller
clusterrolebinding system:controller:ephemeral-volume-controller sa:kube-system/ephemeral-volume-controller
clusterrolebinding system:controller:expand-controller sa:kube-system/expand-controller
clusterrolebinding system:controller:generic-garbage-collector sa:kube-system/generic-garbage-collector
clusterrolebinding system:controller:horizontal-pod-autoscaler sa:kube-system/horizontal-pod-autoscaler
clusterrolebinding system:controller:job-controller sa:kube-system/job-controller
clusterrolebinding system:controller:namespace-controller sa:kube-system/namespace-controller
clusterrolebinding system:controller:node-controller sa:kube-system/node-controller
clusterrolebinding system:controller:persistent-volume-binder sa:kube-system/persistent-volume-binder
clusterrolebinding system:controller:pod-garbage-collector sa:kube-system/pod-garbage-collector
clusterrolebinding system:controller:pv-protection-controller sa:kube-system/pv-protection-controller
clusterrolebinding system:controller:pvc-protection-controller sa:kube-system/pvc-protection-controller
clusterrolebinding system:controller:replicaset-controller sa:kube-system/replicaset-controller
clusterrolebinding system:controller:replication-controller sa:kube-system/replication-controller
clusterrolebinding system:controller:resourcequota-controller sa:kube-system/resourcequota-controller
clusterrolebinding system:controller:root-ca-cert-publisher sa:kube-system/root-ca-cert-publisher
clusterrolebinding system:controller:route-controller sa:kube-system/route-controller
clusterrolebinding system:controller:service-account-controller sa:kube-system/service-account-controller
clusterrolebinding system:controller:service-controller sa:kube-system/service-controller
clusterrolebinding system:controller:statefulset-controller sa:kube-system/statefulset-controller
clusterrolebinding system:controller:ttl-after-finished-controller sa:kube-system/ttl-after-finished-controller
clusterrolebinding system:controller:ttl-controller sa:kube-system/ttl-controller
role kube-public/system:controller:bootstrap-signer
  get,list,watch core configmaps
  update core configmaps cluster-info
  create,patch,update core,events.k8s.io events
role kube-system/extension-apiserver-authentication-reader
  get,list,watch core configmaps extension-apiserver-authentication
role kube-system/system::leader-locking-kube-controller-manager
  watch core configmaps
  get,update core configmaps kube-controller-manager
role kube-system/system::leader-locking-kube-scheduler
  watch core configmaps
  get,update core configmaps kube-scheduler
role kube-system/system:controller:bootstrap-signer
  get,list,watch core secrets
role kube-system/system:controller:cloud-provider
  create,get,list,watch core configmaps
role kube-system/system:controller:token-cleaner
  delete,get,list,watch core secrets
  create,patch,update core,events.k8s.io events
rolebinding kube-public/system:controller:bootstrap-signer -> system:controller:bootstrap-signer sa:kube-system/bootstrap-signer
rolebinding kube-system/system::extension-apiserver-authentication-reader -> extension-apiserver-authentication-reader user:system:kube-controller-manager user:system:kube-scheduler
rolebinding kube-system/system::leader-locking-kube-controller-manager -> system::leader-locking-kube-controller-manager user:system:kube-controller-manager sa:kube-system/kube-controller-manager
rolebinding kube-system/system::leader-locking-kube-scheduler -> system::leader-locking-kube-scheduler user:system:kube-scheduler sa:kube-system/kube-scheduler
rolebinding kube-system/system:controller:bootstrap-signer -> system:controller:bootstrap-signer sa:kube-system/bootstrap-signer
rolebinding kube-system/system:controller:cloud-provider -> system:controller:cloud-provider sa:kube-system/cloud-provider
rolebinding kube-system/system:controller:token-cleaner -> system:controller:token-cleaner sa:kube-system/token-cleaner
)policy";

}  // namespace knarr::apiserver::bootstrap
