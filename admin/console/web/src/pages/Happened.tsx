import { Link } from '@tanstack/react-router';
import type { Schemas } from '../api/client';
import { bytes, count } from '../format';
import { BucketLink, ClusterLink } from '../ui/kit';

export type Logged = Schemas['LoggedEvent'];

/** An event as a sentence, with links to what it is about. */
export function What({ e }: { e: Logged }) {
  switch (e.type) {
    case 'resource':
      return (
        <>
          {e.kind} <Resource kind={e.kind} name={e.name} gone={e.op === 'deleted'} /> {e.op}
          {e.elsewhere && ' by another instance'}
        </>
      );
    case 'configuration':
      return <>another configuration is in force</>;
    case 'transfer':
      return (
        <>
          <span className="key">{e.key}</span> of <BucketLink name={e.bucket ?? ''} /> {e.op}
          {e.from && ` from ${e.from}`}
          {e.cluster && (e.from ? ` to ${e.cluster}` : ` in ${e.cluster}`)}
          {e.bytes ? `, ${bytes(e.bytes)}` : ''}
        </>
      );
    case 'storage':
    case 'function':
      return (
        <>
          {e.type} {e.url && <span className="key">{e.url}</span>} of <ClusterLink name={e.cluster ?? ''} /> is {e.state}
        </>
      );
    case 'drain':
      return (
        <>
          drain of <ClusterLink name={e.cluster ?? ''} />: {e.state}
        </>
      );
    case 'copy':
      return (
        <>
          copy of <BucketLink name={e.bucket ?? ''} />
          {e.prefix && ` below ${e.prefix}`} in <ClusterLink name={e.cluster ?? ''} /> {e.state ? `is ${e.state}` : e.op}
        </>
      );
    case 'primary_moved':
      return (
        <>
          <BucketLink name={e.bucket ?? ''} /> is written in {e.cluster} now, and was in {e.from || 'no cluster'}
        </>
      );
    case 'bucket_ok':
      return (
        <>
          <BucketLink name={e.bucket ?? ''} /> needs nobody any more
        </>
      );
    default:
      return (
        <>
          {e.type === 'verification' ? 'verification of ' : ''}
          <BucketLink name={e.bucket ?? ''} /> {e.state || (e.type === 'bucket_stuck' ? 'is stuck' : e.op)}
          {e.total ? `, ${count(e.objects ?? 0)} of ${count(e.total)} objects` : ''}
        </>
      );
  }
}

function Resource({ kind, name = '', gone }: { kind?: string; name?: string; gone: boolean }) {
  if (gone) return <b>{name}</b>;
  switch (kind) {
    case 'bucket':
      return <BucketLink name={name} />;
    case 'cluster':
      return <ClusterLink name={name} />;
    case 'policy':
      return (
        <Link to="/policies/$policy" params={{ policy: name }}>
          {name}
        </Link>
      );
    default:
      return <b>{name}</b>;
  }
}
