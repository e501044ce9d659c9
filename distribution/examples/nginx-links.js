// Signs requests of nginx-links.conf.template: AWS Signature Version 4 in the query
// string, as presigned URLs have it, good for one minute.
import crypto from 'crypto';

function hmac(key, text) {
    return crypto.createHmac('sha256', key).update(text).digest();
}

// signedURI returns path and query with which the storage gives the object
// $qtap_digest out of $qtap_bucket.
function signedURI(r) {
    const v = r.variables;
    const now = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
    const scope = `${now.slice(0, 8)}/${v.qtap_region}/s3/aws4_request`;
    const path = `/${v.qtap_bucket}/${v.qtap_digest}`;
    const query = [
        'X-Amz-Algorithm=AWS4-HMAC-SHA256',
        `X-Amz-Credential=${encodeURIComponent(`${v.qtap_access_key}/${scope}`)}`,
        `X-Amz-Date=${now}`,
        'X-Amz-Expires=60',
        'X-Amz-SignedHeaders=host',
    ].join('&');
    const request = [r.method, path, query, `host:${v.qtap_host}`, '', 'host', 'UNSIGNED-PAYLOAD'].join('\n');
    const digest = crypto.createHash('sha256').update(request).digest('hex');

    let key = `AWS4${v.qtap_secret_key}`;
    scope.split('/').forEach((part) => { key = hmac(key, part); });
    const signature = hmac(key, ['AWS4-HMAC-SHA256', now, scope, digest].join('\n')).toString('hex');
    return `${path}?${query}&X-Amz-Signature=${signature}`;
}

export default { signedURI };
