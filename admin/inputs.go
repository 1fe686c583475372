package admin

import (
	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/routing"
)

// maxInputs bounds what one question may name.
const maxInputs = 1000

// parseInputs reads the inputs of an invocation from query parameters as data_aware
// reads them from headers: bucket may be repeated or separated by commas, object keys
// (percent-encoded where needed, as in the header) belong to the first bucket, data is
// s3://bucket/key, s3://bucket/prefix/ or s3://bucket/. Where data_aware would refuse
// or ignore what can't be read, this says what is wrong with it.
func parseInputs(buckets, objects, data []string) ([]routing.Input, error) {
	var inputs []routing.Input
	for _, list := range buckets {
		inputs = routing.AppendBuckets(inputs, list, maxInputs)
	}
	if len(objects) > 0 && len(inputs) == 0 {
		return nil, request.Bad("query parameter \"object\": expected \"bucket\" with it, or \"data\" instead")
	}
	for _, key := range objects {
		inputs = routing.AppendEncodedObject(inputs, 0, key)
	}
	for _, ref := range data {
		var ok bool
		if inputs, ok = routing.AppendData(inputs, ref); !ok {
			return nil, request.Bad("query parameter \"data\": %q: expected s3://bucket/key or s3://bucket/", ref)
		}
	}
	if len(inputs) > maxInputs {
		return nil, request.Bad("%d inputs: expected %d at most, which is what data_aware takes", len(inputs), maxInputs)
	}
	return inputs, nil
}
