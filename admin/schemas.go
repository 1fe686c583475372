package admin

import (
	"encoding/json"
	"reflect"
	"time"

	"github.com/fado-project/fado/admin/internal/schema"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
)

// ownSchema returns the schema of types whose JSON is not what their Go kind suggests.
func ownSchema(t reflect.Type) (object, bool) {
	switch t {
	case reflect.TypeFor[json.RawMessage]():
		return object{}, true
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}, true
	case reflect.TypeFor[measured]():
		return object{"type": []string{"number", "null"}}, true
	case reflect.TypeFor[catalog.Copies]():
		return object{"anyOf": []object{{"type": "integer", "minimum": 1, "maximum": catalog.MaxCopies}, {"const": "all"}}}, true
	case reflect.TypeFor[catalog.Size]():
		return object{"type": []string{"string", "integer"}, "examples": []string{"500GiB", "2TB"}}, true
	case reflect.TypeFor[catalog.Duration]():
		return object{"type": []string{"string", "integer"}, "examples": []string{"10s", "1h", "7d"}}, true
	case reflect.TypeFor[catalog.RawObject]():
		return object{"type": "object", "properties": object{"policy": object{"type": "string"}}, "required": []string{"policy"}}, true
	case reflect.TypeFor[mergePatch]():
		return object{"type": "object", "description": "The fields to change; null takes a field back to its default."}, true
	case reflect.TypeFor[catalog.Spread]():
		return schema.Enum(catalog.SpreadZone, catalog.SpreadCluster), true
	case reflect.TypeFor[catalog.Writes]():
		return schema.Enum(catalog.WritesPrimary, catalog.WritesAnywhere), true
	case reflect.TypeFor[catalog.Versions]():
		return schema.Enum(catalog.VersionsAll, catalog.VersionsCurrent), true
	case reflect.TypeFor[catalog.PrimaryMoves]():
		return schema.Enum(catalog.PrimaryFollow, catalog.PrimaryFixed), true
	case reflect.TypeFor[catalog.Promote]():
		return schema.Enum(catalog.PromoteManual), true
	case reflect.TypeFor[catalog.OnMiss]():
		return schema.Enum(catalog.OnMissRemote, catalog.OnMissReject, catalog.OnMissPull), true
	case reflect.TypeFor[role]():
		return schema.Enum(roleViewer, roleOperator, roleAdmin), true
	case reflect.TypeFor[control.Origin]():
		return schema.Enum(control.OriginConfig, control.OriginAPI), true
	case reflect.TypeFor[control.EventType]():
		return schema.Enum(control.EventTypes...), true
	}
	return nil, false
}

// stateNames lists the values of plain strings that have few, by type and JSON name.
var stateNames = map[string][]string{
	"bucketStatusView.state":  {control.BucketOK, control.BucketSyncing, control.BucketStuck, control.BucketConflict},
	"drainStatusView.state":   {"draining", "done"},
	"copyStatusView.role":     {"primary", "copy"},
	"verificationView.state":  {"never", "waiting", "running", "repairing", "done", "failed"},
	"mismatchView.state":      {"repairing", "repaired", "unrepairable"},
	"copyStatusView.state":    {"synced", "syncing", "waiting", "draining", "removing", "failed"},
	"prefixCopyView.role":     {"primary", "copy"},
	"prefixCopyView.state":    {"synced", "syncing", "waiting", "draining", "removing", "failed"},
	"storageStatusView.state": {"up", "down", "unknown"},
	"summaryView.status":      {"ok", "degraded"},
	"ClusterSumView.storage":  {"", "up", "down", "unknown"},
	"AttentionView.kind":      {"replication", "store", "cluster", "function", "bucket", "purge"},
	"MatrixRowView.state":     {control.BucketOK, control.BucketSyncing, control.BucketStuck, control.BucketConflict},
	"overview.status":         {"ok", "degraded"},
	"overview.store":          {"sqlite", "postgres"},
	"nodesView.store":         {"sqlite", "postgres"},
	"candidateView.locality":  {"local", "remote", "none", ""},
	"decisionView.locality":   {"local", "remote", "none"},
	"PendingRowView.hold":     {"", "conflict", "deletes"},
	"PurgeUnderWayView.mode":  {"copies", "all"},
	"storageCheckView.state":  {"up", "down"},
	"inputView.scope":         {"bucket", "object", "prefix"},
	"routeView.reason":        {"", "unknown-bucket", "no-fresh-copy", "no-endpoint", "zone-forbidden", "no-bucket"},
}

type object = schema.Object

// mergePatch stands for the body of a PATCH in the table of operations.
type mergePatch struct{}
