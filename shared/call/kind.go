package call

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/egress"
)

// kindOf sorts what the network said.
func kindOf(err error) action.ErrorKind {
	var netErr net.Error
	switch {
	case errors.Is(err, egress.ErrDenied):
		return action.ErrorDenied
	case isA[*net.DNSError](err):
		return action.ErrorName
	case isA[*tls.CertificateVerificationError](err), isA[tls.RecordHeaderError](err), isA[tls.AlertError](err),
		isAlert(err), isA[x509.UnknownAuthorityError](err), isA[x509.HostnameError](err), isA[x509.CertificateInvalidError](err):
		return action.ErrorTLS
	case errors.As(err, &netErr) && netErr.Timeout():
		return action.ErrorTimeout
	default:
		return action.ErrorConnection
	}
}

// isAlert says whether the other side ended the handshake: crypto/tls words that as an operation of the network.
func isAlert(err error) bool {
	e, ok := errors.AsType[*net.OpError](err)
	return ok && e.Op == "remote error"
}

func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
