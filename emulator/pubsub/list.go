package pubsub

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
)

// page cuts one page out of names and says how to ask for the next. A token is the last name of the page before.
func page(names []string, size int32, token string) (part []string, next string, err error) {
	if size < 0 {
		return nil, "", invalid("page_size", "is %d; it must not be negative", size)
	}
	if size == 0 {
		size = defaultPageSize
	}
	size = min(size, mostPageSize)
	after, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return nil, "", invalid("page_token", "is %q, which no answer gave", clip(token))
	}
	slices.Sort(names)
	at, found := slices.BinarySearch(names, string(after))
	if found {
		at++
	}
	names = names[at:]
	if len(names) <= int(size) {
		return names, "", nil
	}
	part = names[:size]
	return part, base64.RawURLEncoding.EncodeToString([]byte(part[size-1])), nil
}

// namesIn is the names of a map that belong to a project.
func namesIn[K ~string, V any](s *Server, all map[K]V, project string) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var names []string
	for name := range all {
		if strings.HasPrefix(string(name), project+"/") {
			names = append(names, string(name))
		}
	}
	return names
}

// ListTopics lists those of a project by name.
func (p publisher) ListTopics(ctx context.Context, req *pubsubpb.ListTopicsRequest) (*pubsubpb.ListTopicsResponse, error) {
	if err := parseProject(req.Project); err != nil {
		return nil, err
	}
	names, next, err := page(namesIn(p.s, p.s.topics, req.Project), req.PageSize, req.PageToken)
	if err != nil {
		return nil, err
	}
	res := &pubsubpb.ListTopicsResponse{NextPageToken: next}
	for _, name := range names {
		if t, err := p.s.topic(topicName(name)); err == nil {
			res.Topics = append(res.Topics, t.config())
		}
	}
	return res, nil
}

// ListTopicSubscriptions lists the names of the subscriptions that are attached.
func (p publisher) ListTopicSubscriptions(ctx context.Context, req *pubsubpb.ListTopicSubscriptionsRequest) (*pubsubpb.ListTopicSubscriptionsResponse, error) {
	name, err := parseTopic("topic", req.Topic)
	if err != nil {
		return nil, err
	}
	t, err := p.s.topic(name)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, sub := range t.subscriptions() {
		names = append(names, string(sub.name))
	}
	names, next, err := page(names, req.PageSize, req.PageToken)
	if err != nil {
		return nil, err
	}
	return &pubsubpb.ListTopicSubscriptionsResponse{Subscriptions: names, NextPageToken: next}, nil
}

// ListTopicSnapshots lists the names of the snapshots that hold messages of the topic.
func (p publisher) ListTopicSnapshots(ctx context.Context, req *pubsubpb.ListTopicSnapshotsRequest) (*pubsubpb.ListTopicSnapshotsResponse, error) {
	name, err := parseTopic("topic", req.Topic)
	if err != nil {
		return nil, err
	}
	t, err := p.s.topic(name)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, snap := range t.held() {
		names = append(names, string(snap.name))
	}
	names, next, err := page(names, req.PageSize, req.PageToken)
	if err != nil {
		return nil, err
	}
	return &pubsubpb.ListTopicSnapshotsResponse{Snapshots: names, NextPageToken: next}, nil
}

// ListSubscriptions lists those of a project by name.
func (r subscriber) ListSubscriptions(ctx context.Context, req *pubsubpb.ListSubscriptionsRequest) (*pubsubpb.ListSubscriptionsResponse, error) {
	if err := parseProject(req.Project); err != nil {
		return nil, err
	}
	names, next, err := page(namesIn(r.s, r.s.subs, req.Project), req.PageSize, req.PageToken)
	if err != nil {
		return nil, err
	}
	res := &pubsubpb.ListSubscriptionsResponse{NextPageToken: next}
	for _, name := range names {
		if sub, err := r.s.subscription(subscriptionName(name)); err == nil {
			res.Subscriptions = append(res.Subscriptions, sub.shown())
		}
	}
	return res, nil
}

// ListSnapshots lists those of a project by name.
func (r subscriber) ListSnapshots(ctx context.Context, req *pubsubpb.ListSnapshotsRequest) (*pubsubpb.ListSnapshotsResponse, error) {
	if err := parseProject(req.Project); err != nil {
		return nil, err
	}
	names, next, err := page(namesIn(r.s, r.s.snapshots, req.Project), req.PageSize, req.PageToken)
	if err != nil {
		return nil, err
	}
	res := &pubsubpb.ListSnapshotsResponse{NextPageToken: next}
	for _, name := range names {
		if snap, err := r.s.snapshot(snapshotName(name)); err == nil {
			res.Snapshots = append(res.Snapshots, snap.config())
		}
	}
	return res, nil
}
