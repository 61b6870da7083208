import { parseDocument } from './parse-document.js';
import { serveParser } from './serve-parser.js';

serveParser(parseDocument);
