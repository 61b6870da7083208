export { trainModel } from './train-model.js';
