package objectstoreexporter

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
)

// regionOfEndpoint signs requests for an endpoint of one's own when no region
// is set: servers that have no regions take any, and this one is their usual
// default.
const regionOfEndpoint = "us-east-1"

// s3Store is a bucket of S3 or of a store with its protocol. It speaks to the
// SDK itself: gocloud.dev's driver sends a checksum that some of those stores
// refuse, whatever is configured, and starts a multipart upload manager for
// each object.
type s3Store struct {
	client    *awss3.Client
	bucket    string
	transport *http.Transport
	// unconditional is set when the store has refused a conditional write as
	// not implemented.
	unconditional atomic.Bool
}

// openS3 reads the SDK's configuration (environment, shared files). It asks
// nothing over the network, credentials neither: the first request does.
func openS3(ctx context.Context, t target, connections int) (store, error) {
	cfg, err := config.LoadDefaultConfig(ctx, s3Options(t)...)
	if err != nil {
		return nil, configurationError{err}
	}
	endpoint := t.query.Get("endpoint")
	if cfg.Region == "" {
		if endpoint == "" {
			return nil, configurationError{errors.New("no region: add ?region=… to the url, or set AWS_REGION")}
		}
		cfg.Region = regionOfEndpoint
	}
	s := &s3Store{bucket: t.bucket, transport: s3Transport(cfg, connections)}
	s.client = awss3.NewFromConfig(cfg, func(o *awss3.Options) {
		if endpoint != "" {
			o.BaseEndpoint = aws.String(endpoint)
		}
		o.UsePathStyle = t.flag("use_path_style", false)
		o.HTTPClient = &http.Client{
			Transport: s.transport,
			// The signature of a request holds for its address alone.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	})
	return s, nil
}

func s3Options(t target) []func(*config.LoadOptions) error {
	var options []func(*config.LoadOptions) error
	if region := t.query.Get("region"); region != "" {
		options = append(options, config.WithRegion(region))
	}
	if profile := t.query.Get("profile"); profile != "" {
		options = append(options, config.WithSharedConfigProfile(profile))
	}
	if t.flag("anonymous", false) {
		options = append(options, config.WithCredentialsProvider(aws.AnonymousCredentials{}))
	}
	if t.flag("dualstack", false) {
		options = append(options, config.WithUseDualStackEndpoint(aws.DualStackEndpointStateEnabled))
	}
	if t.flag("fips", false) {
		options = append(options, config.WithUseFIPSEndpoint(aws.FIPSEndpointStateEnabled))
	}
	switch t.query.Get("request_checksum_calculation") {
	case "when_required":
		options = append(options, config.WithRequestChecksumCalculation(aws.RequestChecksumCalculationWhenRequired))
	case "when_supported":
		options = append(options, config.WithRequestChecksumCalculation(aws.RequestChecksumCalculationWhenSupported))
	}
	return options
}

// s3Transport is the SDK's, which knows AWS_CA_BUNDLE, with enough connections.
func s3Transport(cfg aws.Config, connections int) *http.Transport {
	client, is := cfg.HTTPClient.(*awshttp.BuildableClient)
	if !is {
		client = awshttp.NewBuildableClient()
	}
	transport := client.GetTransport()
	widen(transport, connections)
	return transport
}

func (s *s3Store) put(ctx context.Context, o *object, ifAbsent bool) (existing bool, err error) {
	if ifAbsent && s.unconditional.Load() {
		if existing, err = s.exists(ctx, o.key); err != nil || existing {
			return existing, err
		}
		ifAbsent = false
	}
	input := &awss3.PutObjectInput{
		Bucket:        aws.String(s.bucket),
		Key:           aws.String(o.key),
		Body:          strings.NewReader(o.body),
		ContentLength: aws.Int64(int64(len(o.body))),
		ContentType:   aws.String(o.contentType),
	}
	if o.encoding != "" {
		input.ContentEncoding = aws.String(o.encoding)
	}
	if ifAbsent {
		input.IfNoneMatch = aws.String("*")
	}
	_, err = s.client.PutObject(ctx, input)
	if err == nil || !ifAbsent {
		return false, err
	}
	switch status, code := answer(err); {
	case status == http.StatusPreconditionFailed:
		return true, nil
	case status == http.StatusNotImplemented || code == "NotImplemented":
		// The store has no conditional writes; from now on it is asked first.
		s.unconditional.Store(true)
		return s.put(ctx, o, ifAbsent)
	}
	return false, err
}

func (s *s3Store) exists(ctx context.Context, key string) (bool, error) {
	_, err := s.client.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: aws.String(s.bucket), Key: aws.String(key)})
	if err == nil {
		return true, nil
	}
	if status, _ := answer(err); status == http.StatusNotFound {
		return false, nil
	}
	return false, err
}

func (s *s3Store) close() error {
	s.transport.CloseIdleConnections()
	return nil
}
