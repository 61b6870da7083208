import type { Readable } from 'node:stream';
import busboy from 'busboy';
import type { Request } from 'express';
import { PlatformError } from '../domain/errors.js';

/** How a multipart body is read: the field `options`, then one file. */
export interface Upload<R> {
  /** Largest file in bytes; more is `PAYLOAD_TOO_LARGE`. */
  limitBytes: number;
  deadlineMs: number;
  /** Aborts when the caller is gone or the process stops. */
  signal: AbortSignal;
  /** Called when the file begins; it reads the file to its end, or throws to refuse the upload. */
  onFile: (optionsText: string, file: AsyncIterable<Uint8Array>, part: UploadPart) => Promise<R>;
}

/** What the form says of its file. */
export interface UploadPart {
  filename: string | undefined;
  /** Content type of the part; `application/octet-stream` or `text/plain` where the sender knew none. */
  mediaType: string;
}

/** Form field names, part headers and the options themselves, beside the file. */
const OPTIONS_BYTES = 262_144;
const MARGIN_BYTES = OPTIONS_BYTES + 65_536;
/** Boundary and headers of the first part are looked for in so much of the body. */
const HEAD_BYTES = 8_192;
/** How long the rest of a refused body is read and thrown away, so that the caller gets to see the answer. */
const DRAIN_MS = 30_000;

const invalid = (pointer: string, detail: string): PlatformError =>
  new PlatformError('INVALID_REQUEST', `The form is not as documented: ${detail}.`, {
    errors: [{ pointer, code: 'invalid_form', detail }],
  });

const tooLarge = (limitBytes: number): PlatformError =>
  new PlatformError('PAYLOAD_TOO_LARGE', `The file is larger than ${limitBytes} bytes.`, {
    extensions: { limitBytes },
  });

function openForm(request: Request, limitBytes: number): busboy.Busboy {
  if (request.get('content-encoding') !== undefined || !request.is('multipart/form-data'))
    throw new PlatformError(
      'UNSUPPORTED_MEDIA_TYPE',
      'This operation takes multipart/form-data: the field `options`, then the file.',
    );
  if (Number(request.get('content-length') ?? 0) > limitBytes + MARGIN_BYTES)
    throw tooLarge(limitBytes);
  try {
    const limits = { fieldSize: OPTIONS_BYTES, fieldNameSize: 100 };
    return busboy({ headers: request.headers, limits });
  } catch {
    throw invalid('', 'the multipart boundary is missing');
  }
}

/**
 * The charset that the first part of a form names: busboy decodes by it and does not say so. Later parts are no fields.
 * @returns what reads it, once the headers of that part have come
 */
function watchCharset(request: Request): () => string | undefined {
  let head = '';
  const collect = (chunk: Buffer): void => {
    head += chunk.toString('latin1', 0, HEAD_BYTES);
    if (head.length >= HEAD_BYTES || head.includes('\r\n\r\n')) request.off('data', collect);
  };
  request.on('data', collect);
  return () => {
    const [headers = ''] = head.split('\r\n\r\n', 1);
    return /^content-type:(?:.|\r\n[ \t])*;\s*charset="?([^";\s]+)/im.exec(headers)?.[1];
  };
}

function drain(request: Request): void {
  request.unpipe();
  request.resume();
  const timer = setTimeout(() => request.destroy(), DRAIN_MS);
  timer.unref();
  request.once('close', () => clearTimeout(timer)).once('end', () => clearTimeout(timer));
}

/** What is wrong with the value of the field `options`, as busboy decoded it; a charset that it does not know leaves none. */
function faultOf(
  value: string | undefined,
  charset: string | undefined,
): PlatformError | undefined {
  if (value === undefined || (charset !== undefined && !/^utf-?8$/i.test(charset)))
    return new PlatformError('UNSUPPORTED_MEDIA_TYPE', 'The field options is JSON in UTF-8.');
  // In the place of bytes that are no UTF-8. Whoever means the character itself writes it as an escape.
  if (value.includes('\uFFFD')) return invalid('/options', 'is not UTF-8');
  return undefined;
}

/** Follows one form; settles once, and only after `onFile` has let go of the file. */
function followForm<R>(
  form: busboy.Busboy,
  upload: Upload<R>,
  charsetOf: () => string | undefined,
) {
  let optionsText: string | undefined;
  let file: Readable | undefined;
  let work: Promise<R> | undefined;
  let refusal: Error | undefined;
  let settle: { resolve: (result: R) => void; reject: (error: Error) => void };
  const settled = new Promise<R>((resolve, reject) => {
    settle = { resolve, reject };
  });
  const refuse = (error: Error): void => {
    if (refusal !== undefined) return;
    refusal = error;
    file?.destroy(error);
    void Promise.allSettled([work]).then(() => settle.reject(error));
  };
  form.on('field', (name, value, info) => {
    if (file !== undefined) refuse(invalid(`/${name}`, 'a field follows the file'));
    else if (name !== 'options') refuse(invalid(`/${name}`, 'this field is not part of the form'));
    else if (optionsText !== undefined) refuse(invalid('/options', 'is there twice'));
    else if (info.valueTruncated) refuse(invalid('/options', 'is larger than 256 KiB'));
    else {
      const fault = faultOf(value, charsetOf());
      if (fault === undefined) optionsText = value;
      else refuse(fault);
    }
  });
  form.on('file', (name, stream, info) => {
    const wrong =
      name !== 'file'
        ? invalid(`/${name}`, 'this file is not part of the form')
        : file !== undefined
          ? invalid('/file', 'is there twice')
          : optionsText === undefined
            ? invalid('/options', 'is missing, or comes after the file')
            : undefined;
    if (wrong !== undefined || refusal !== undefined) {
      // The error of a stream that nobody reads must not end the process.
      stream.on('error', () => undefined).resume();
      if (wrong !== undefined) refuse(wrong);
      return;
    }
    file = stream;
    // Whoever reads the file gets its error; a reader that stopped early has a reason of its own.
    stream.on('error', () => undefined);
    const part = { filename: info.filename as string | undefined, mediaType: info.mimeType };
    work = upload.onFile(optionsText ?? '', stream as AsyncIterable<Uint8Array>, part);
    work.catch((error: unknown) =>
      refuse(error instanceof Error ? error : new Error(String(error))),
    );
  });
  form.on('error', () => refuse(invalid('', 'the multipart body is broken')));
  form.on('close', () => {
    if (work === undefined) refuse(invalid('/file', 'is missing'));
    else
      work.then(
        (result) => settle.resolve(result),
        () => undefined,
      );
  });
  return { settled, refuse };
}

/**
 * Reads a multipart upload as a stream and answers what `onFile` made of it. A refused body is drained for a while,
 * then the connection is closed.
 * @throws UNSUPPORTED_MEDIA_TYPE, PAYLOAD_TOO_LARGE, INVALID_REQUEST, REQUEST_TIMEOUT, and what `onFile` refuses with
 */
export async function receiveUpload<R>(request: Request, upload: Upload<R>): Promise<R> {
  try {
    return await readForm(openForm(request, upload.limitBytes), request, upload);
  } catch (error) {
    drain(request);
    throw error;
  }
}

async function readForm<R>(form: busboy.Busboy, request: Request, upload: Upload<R>): Promise<R> {
  const { settled, refuse } = followForm(form, upload, watchCharset(request));
  const late = () =>
    refuse(new PlatformError('REQUEST_TIMEOUT', 'The upload did not come in time.'));
  const gone = () => refuse(invalid('', 'the connection ended before the body did'));
  const timer = setTimeout(late, upload.deadlineMs);
  upload.signal.addEventListener('abort', gone);
  request.once('error', gone).once('aborted', gone);
  request.pipe(form);
  try {
    return await settled;
  } finally {
    clearTimeout(timer);
    upload.signal.removeEventListener('abort', gone);
  }
}
