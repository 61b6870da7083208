import { sign, verify } from 'node:crypto';
import type { Secrets, SigningSecrets } from '../../domain/secrets.js';

/** A signature and the id of the key that made it. */
export interface ApprovalSignature {
  keyId: string;
  /** Ed25519, 64 bytes. */
  signature: Uint8Array;
}

/** Signs the canonical text of an approval decision: the API's side. */
export const createApprovalSigner =
  (secrets: Pick<SigningSecrets, 'approvalPrivateKey'>) =>
  async (payload: string): Promise<ApprovalSignature> => {
    const { keyId, key } = await secrets.approvalPrivateKey();
    const pem = Buffer.from(key.reveal());
    return { keyId, signature: sign(null, Buffer.from(payload), pem) };
  };

/** True where the signature is of this text and by the named key: all that a worker can do. */
export const createApprovalVerifier =
  (secrets: Pick<Secrets, 'approvalPublicKey'>) =>
  async (payload: string, { keyId, signature }: ApprovalSignature): Promise<boolean> => {
    const pem = await secrets.approvalPublicKey(keyId);
    return verify(null, Buffer.from(payload), pem, signature);
  };
