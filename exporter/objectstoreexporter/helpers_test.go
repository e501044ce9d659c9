package objectstoreexporter

import (
	"net/http"
	"os"
	"testing"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// apiError is an S3 answer as the SDK reports it.
func apiError(status int, code string) error {
	return &awshttp.ResponseError{ResponseError: &smithyhttp.ResponseError{
		Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}},
		Err:      &smithy.GenericAPIError{Code: code, Message: "text"},
	}}
}

func points(value int64, attributes ...attribute.KeyValue) []metricdata.DataPoint[int64] {
	return []metricdata.DataPoint[int64]{{Value: value, Attributes: attribute.NewSet(attributes...)}}
}

func sumPoints(m metricdata.Metrics) []metricdata.DataPoint[int64] {
	sum, _ := m.Data.(metricdata.Sum[int64])
	return sum.DataPoints
}

// shortTimeout ends what would wait for ever; no verdict depends on its length.
const shortTimeout = 300 * time.Millisecond

// bucketURL is where a benchmark writes: BUCKET_URL, or a folder of its own.
func bucketURL(b *testing.B) string {
	b.Helper()
	if url := os.Getenv("BUCKET_URL"); url != "" {
		return url
	}
	return "file://" + b.TempDir()
}
