/**
 * A secret value in memory. It shows itself only through `reveal()`: text, JSON and inspection say `[secret]`, so a
 * logged or serialised object gives nothing away.
 */
export class Secret {
  readonly #bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }
  /** The bytes themselves: for the one call that needs them, never to be kept. */
  reveal(): Uint8Array {
    return this.#bytes;
  }
  toString(): string {
    return '[secret]';
  }
  toJSON(): string {
    return '[secret]';
  }
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '[secret]';
  }
}

/** One version of a symmetric key, 32 bytes. */
export interface KeyVersion {
  /** 1, 2, …; the newest version writes, older ones only read. */
  version: number;
  key: Secret;
}

/** Where a process reads its keys; a key is made on first use. */
export interface Secrets {
  /** The pepper of API keys, the newest unless a version is named. @throws INTERNAL for a version that is not there */
  pepper(version?: number): Promise<KeyVersion>;
  /** The key that turns a tenant's subject identifiers into tokens. */
  pseudonymKey(tenant: string, version?: number): Promise<KeyVersion>;
  /** The AES-256-GCM key of a tenant's stored fields. */
  fieldKey(tenant: string, version?: number): Promise<KeyVersion>;
  /** The key that a tenant's document ids are made with. It never rotates: ids would change. */
  documentIdKey(tenant: string): Promise<Secret>;
  /** The Ed25519 public key (SPKI PEM) that approval decisions are checked with, by the key id of the decision. */
  approvalPublicKey(keyId: string): Promise<string>;
}

/** What the API alone holds besides {@link Secrets}: the private half of the approval key. */
export interface SigningSecrets extends Secrets {
  /** The newest Ed25519 private key (PKCS 8 PEM) and the id that decisions carry. */
  approvalPrivateKey(): Promise<{ keyId: string; key: Secret }>;
}
