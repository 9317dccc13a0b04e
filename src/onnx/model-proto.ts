// The messages of an ONNX file as plain objects, named as in proto/onnx.proto in camel case. No behaviour here.
// A field that is absent in the file is absent here, one that is there and zero is there and zero; a list that
// is empty is absent, since a file does not tell the two apart.

/** An int64: a number when that is exact (up to 2^53 - 1 either side of zero), else a bigint. */
export type Int64 = number | bigint;

export interface ModelProto {
  readonly irVersion?: Int64;
  readonly producerName?: string;
  readonly producerVersion?: string;
  readonly domain?: string;
  readonly modelVersion?: Int64;
  readonly docString?: string;
  readonly graph?: GraphProto;
  readonly opsetImport?: readonly OperatorSetIdProto[];
  readonly metadataProps?: readonly StringStringEntryProto[];
  readonly trainingInfo?: readonly TrainingInfoProto[];
  readonly functions?: readonly FunctionProto[];
  readonly configuration?: readonly DeviceConfigurationProto[];
}

export interface OperatorSetIdProto {
  readonly domain?: string;
  readonly version?: Int64;
}

export interface StringStringEntryProto {
  readonly key?: string;
  readonly value?: string;
}

export interface TrainingInfoProto {
  readonly initialization?: GraphProto;
  readonly algorithm?: GraphProto;
  readonly initializationBinding?: readonly StringStringEntryProto[];
  readonly updateBinding?: readonly StringStringEntryProto[];
}

export interface GraphProto {
  readonly node?: readonly NodeProto[];
  readonly name?: string;
  readonly initializer?: readonly TensorProto[];
  readonly docString?: string;
  readonly input?: readonly ValueInfoProto[];
  readonly output?: readonly ValueInfoProto[];
  readonly valueInfo?: readonly ValueInfoProto[];
  readonly quantizationAnnotation?: readonly TensorAnnotation[];
  readonly sparseInitializer?: readonly SparseTensorProto[];
  readonly metadataProps?: readonly StringStringEntryProto[];
}

export interface ValueInfoProto {
  readonly name?: string;
  readonly type?: TypeProto;
  readonly docString?: string;
  readonly metadataProps?: readonly StringStringEntryProto[];
}

export interface TensorAnnotation {
  readonly tensorName?: string;
  readonly quantParameterTensorNames?: readonly StringStringEntryProto[];
}

export interface NodeProto {
  readonly input?: readonly string[];
  readonly output?: readonly string[];
  readonly name?: string;
  readonly opType?: string;
  readonly attribute?: readonly AttributeProto[];
  readonly docString?: string;
  readonly domain?: string;
  readonly overload?: string;
  readonly metadataProps?: readonly StringStringEntryProto[];
  readonly deviceConfigurations?: readonly NodeDeviceConfigurationProto[];
}

/** Values of AttributeProto.AttributeType. */
export const ATTRIBUTE_TYPE = {
  undefined: 0,
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
  strings: 8,
  tensors: 9,
  graphs: 10,
  sparseTensor: 11,
  sparseTensors: 12,
  typeProto: 13,
  typeProtos: 14,
} as const;

export interface AttributeProto {
  readonly name?: string;
  readonly f?: number;
  readonly i?: Int64;
  readonly s?: Uint8Array;
  readonly t?: TensorProto;
  readonly g?: GraphProto;
  readonly floats?: readonly number[];
  readonly ints?: readonly Int64[];
  readonly strings?: readonly Uint8Array[];
  readonly tensors?: readonly TensorProto[];
  readonly graphs?: readonly GraphProto[];
  readonly docString?: string;
  readonly tp?: TypeProto;
  readonly typeProtos?: readonly TypeProto[];
  /** one of ATTRIBUTE_TYPE */
  readonly type?: number;
  readonly refAttrName?: string;
  readonly sparseTensor?: SparseTensorProto;
  readonly sparseTensors?: readonly SparseTensorProto[];
}

export interface FunctionProto {
  readonly name?: string;
  readonly input?: readonly string[];
  readonly output?: readonly string[];
  readonly attribute?: readonly string[];
  readonly node?: readonly NodeProto[];
  readonly docString?: string;
  readonly opsetImport?: readonly OperatorSetIdProto[];
  readonly domain?: string;
  readonly attributeProto?: readonly AttributeProto[];
  readonly valueInfo?: readonly ValueInfoProto[];
  readonly overload?: string;
  readonly metadataProps?: readonly StringStringEntryProto[];
}

/** Lists that the format packs are typed arrays, `rawData` a view on the bytes that were decoded. */
export interface TensorProto {
  readonly dims?: readonly Int64[];
  /** one of the values of TensorProto.DataType, see DATA_TYPE_NAMES */
  readonly dataType?: number;
  readonly segment?: { readonly begin?: Int64; readonly end?: Int64 };
  readonly floatData?: Float32Array;
  readonly int32Data?: Int32Array;
  readonly stringData?: readonly Uint8Array[];
  readonly int64Data?: BigInt64Array;
  readonly name?: string;
  readonly rawData?: Uint8Array;
  readonly doubleData?: Float64Array;
  readonly uint64Data?: BigUint64Array;
  readonly docString?: string;
  readonly externalData?: readonly StringStringEntryProto[];
  /** 0 in this file, 1 in another */
  readonly dataLocation?: number;
  readonly metadataProps?: readonly StringStringEntryProto[];
}

export interface SparseTensorProto {
  readonly values?: TensorProto;
  readonly indices?: TensorProto;
  readonly dims?: readonly Int64[];
}

export interface DimensionProto {
  /** at most one of dimValue and dimParam; neither: not known */
  readonly dimValue?: Int64;
  readonly dimParam?: string;
  readonly denotation?: string;
}

export interface TensorShapeProto {
  readonly dim?: readonly DimensionProto[];
}

export interface TensorTypeProto {
  readonly elemType?: number;
  /** absent: the rank is not known */
  readonly shape?: TensorShapeProto;
}

/** At most one of the fields that end in Type. */
export interface TypeProto {
  readonly tensorType?: TensorTypeProto;
  readonly sequenceType?: { readonly elemType?: TypeProto };
  readonly mapType?: { readonly keyType?: number; readonly valueType?: TypeProto };
  readonly denotation?: string;
  readonly opaqueType?: { readonly domain?: string; readonly name?: string };
  readonly sparseTensorType?: TensorTypeProto;
  readonly optionalType?: { readonly elemType?: TypeProto };
}

export interface DeviceConfigurationProto {
  readonly name?: string;
  readonly numDevices?: number;
  readonly device?: readonly string[];
}

export interface NodeDeviceConfigurationProto {
  readonly configurationId?: string;
  readonly shardingSpec?: readonly ShardingSpecProto[];
  readonly pipelineStage?: number;
}

export interface ShardingSpecProto {
  readonly tensorName?: string;
  readonly device?: readonly Int64[];
  readonly indexToDeviceGroupMap?: readonly { readonly key?: Int64; readonly value?: readonly Int64[] }[];
  readonly shardedDim?: readonly ShardedDimProto[];
}

export interface ShardedDimProto {
  readonly axis?: Int64;
  readonly simpleSharding?: readonly {
    readonly dimValue?: Int64;
    readonly dimParam?: string;
    readonly numShards?: Int64;
  }[];
}
