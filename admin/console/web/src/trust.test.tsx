import { render, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { describe, expect, it, vi } from 'vitest';
import { orderOf } from './api/client';
import { resultOf } from './pages/Audit';
import { TrustButton } from './pages/Trust';
import { shown as draw } from './testing';
import { RequestId } from './ui/kit';

vi.mock('@tanstack/react-router', async (real) => (await import('./testrouter')).routerOf(await real()));

describe('a bucket that is stopped', () => {
  const side = { objects: 60, bytes: 600, compared_at: null };
  const sides = {
    bucket: 'reports',
    stopped: true,
    sides: [
      { ...side, cluster: 'c1', role: 'primary', refused: '', effects: ['What lies in c1 now is right.'] },
      { ...side, cluster: 'c2', role: 'copy', refused: '', effects: ['The bucket is written in c2 from then on.'] },
      { ...side, cluster: 'c3', role: 'copy', refused: 'it has no synced copy of the whole bucket', effects: [] },
    ],
  };
  const shown = (role: 'admin' | 'operator') => draw(<TrustButton bucket="reports" />, [[['bucket', 'reports', 'sides'], sides]], { role });
  it('is for admins to decide about', () => {
    shown('operator');
    expect(screen.getByRole('button', { name: 'Say which side is right' })).toHaveAccessibleDescription('Needs the role admin');
  });
  it('asks which side is right, and says what each choice does', async () => {
    shown('admin');
    await userEvent.click(screen.getByRole('button', { name: 'Say which side is right' }));
    expect(await screen.findByText('What lies in c1 now is right.')).toBeVisible();
    expect(screen.getByRole('radio', { name: /^c3, the copy/ })).toBeDisabled();
    await userEvent.type(screen.getByLabelText('Type reports to confirm'), 'reports');
    expect(screen.getByRole('button', { name: 'Choose a side' })).toBeDisabled();
    await userEvent.click(screen.getByRole('radio', { name: /^c2, the copy/ }));
    expect(screen.getByRole('button', { name: 'c2 is right' })).toBeEnabled();
  });
});

describe('a request that failed', () => {
  it('has an ID that can be copied', async () => {
    const copied = vi.fn(async () => {});
    Object.defineProperty(navigator, 'clipboard', { value: { writeText: copied }, configurable: true });
    render(<RequestId id="abcd" />);
    screen.getByRole('button', { name: 'Copy the request ID abcd' }).click();
    await waitFor(() => expect(copied).toHaveBeenCalledWith('abcd'));
    expect(await screen.findByText('Copied')).toBeVisible();
  });
  it('is told from one that was done, in the audit', () => {
    const record = (kind: string, body: object) => ({ kind, body }) as never;
    expect(resultOf(record('session', { event: 'sign-in-failed' }))).toBe('refused');
    expect(resultOf(record('session', { event: 'signed-in' }))).toBe('done');
    expect(resultOf(record('refused', {}))).toBe('refused');
    expect(resultOf(record('action', { state: 'failed' }))).toBe('failed');
    expect(resultOf(record('action', { state: 'begun' }))).toBe('done');
  });
});

describe('a list of buckets', () => {
  it('takes the orders that there are', () => {
    expect([orderOf('bytes'), orderOf('name'), orderOf('color'), orderOf(undefined)]).toEqual(['bytes', undefined, undefined, undefined]);
  });
});
