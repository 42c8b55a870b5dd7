using System.Buffers.Binary;
using System.Globalization;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using ClusterNet.Cluster.Serving;
using ClusterNet.Core.Faults;
using ClusterNet.Gateway.Inference.Examples;
using ClusterNet.Gateway.Inference.SharedMemory;

namespace ClusterNet.Gateway.Inference;

/// <summary>One output of an answer.</summary>
/// <param name="Name">of the tensor</param>
/// <param name="Shape">samples first</param>
/// <param name="IsBinary">whether it goes as bytes behind the JSON</param>
internal abstract record OutputTensor(string Name, long[] Shape, bool IsBinary)
{
    /// <summary>The protocol's name of its type.</summary>
    public abstract string TypeName { get; }

    /// <summary>Bytes of its values as bytes.</summary>
    public abstract int ByteSize { get; }

    /// <summary>The outputs that were asked for.</summary>
    /// <exception cref="PredictionException">the model's numbers are none, or another version answered, which has no such output</exception>
    public static List<OutputTensor> Of(ServedPrediction answer, ServedVersion version, InferRequest request)
    {
        if (answer is ExamplePrediction example)
            return example.OutputsOf(request);
        var prediction = answer.Prediction;
        if (!TensorPrimitives.IsFiniteAll(prediction.Outputs.Span))
            throw new PredictionException(ServingProtocol.FailureKind.ComputeFailed, [new Fault("outputs", $"{prediction.Version} answered with what is no finite number")]);
        var outputs = new List<OutputTensor>(request.Outputs.Count);
        foreach (var wanted in request.Outputs)
        {
            var isBinary = wanted.IsBinary ?? request.Parameters.IsBinary;
            outputs.Add((wanted.Name, prediction.Classes.Count) switch
            {
                (TensorSignature.ProbabilitiesName, > 0) or (TensorSignature.ValueName, 0) when wanted.Classes > 0 => Ranked(prediction, wanted, isBinary),
                (TensorSignature.ProbabilitiesName, > 0) => new Floats(wanted.Name, [prediction.Count, prediction.Width], prediction.Outputs, isBinary),
                (TensorSignature.ClassName, > 0) => new Texts(wanted.Name, Single(prediction, version, wanted), [.. Enumerable.Range(0, prediction.Count).Select(sample => prediction.ClassOf(sample)!)], isBinary),
                (TensorSignature.ValueName, 0) => new Floats(wanted.Name, Single(prediction, version, wanted), prediction.Outputs, isBinary),
                _ => throw Refusal.Invalid("outputs", $"{prediction.Version} answered, which has no '{wanted.Name}'; the model's versions differ, so say which"),
            });
        }
        return outputs;
    }

    /// <summary>Its values as the binary extension and gRPC's raw contents have them.</summary>
    /// <param name="bytes">of <see cref="ByteSize"/></param>
    public abstract void WriteBytes(Span<byte> bytes);

    /// <summary>Its values as JSON has them, one after the other.</summary>
    public abstract void WriteValues(Utf8JsonWriter json);

    // one value a sample: the signature says whether with an axis of its own
    private static long[] Single(Prediction prediction, ServedVersion version, RequestedOutput wanted) =>
        version.Outputs.FirstOrDefault(output => output.Name == wanted.Name)?.Shape.Count == 2 ? [prediction.Count, 1] : [prediction.Count];

    /// <summary>The largest values of each sample as texts: value, place and label.</summary>
    private static Texts Ranked(Prediction prediction, RequestedOutput wanted, bool isBinary)
    {
        var most = Math.Min(wanted.Classes, prediction.Width);
        var texts = new string[checked(prediction.Count * most)];
        var order = new int[prediction.Width];
        for (var sample = 0; sample < prediction.Count; sample++)
        {
            var values = prediction[sample].ToArray();
            for (var i = 0; i < order.Length; i++)
                order[i] = i;
            // the first of equals comes first, as it does in the class that is answered
            Array.Sort(order, (left, right) => values[right].CompareTo(values[left]) is var by && by != 0 ? by : left.CompareTo(right));
            for (var rank = 0; rank < most; rank++)
            {
                var place = order[rank];
                var text = string.Create(CultureInfo.InvariantCulture, $"{values[place]:R}:{place}");
                texts[(sample * most) + rank] = prediction.Classes.Count == 0 ? text : $"{text}:{prediction.Classes[place]}";
            }
        }
        return new Texts(wanted.Name, [prediction.Count, most], texts, isBinary);
    }

    /// <summary>FP32.</summary>
    public sealed record Floats(string Name, long[] Shape, ReadOnlyMemory<float> Values, bool IsBinary) : OutputTensor(Name, Shape, IsBinary)
    {
        /// <inheritdoc/>
        public override string TypeName => DataTypes.NameOf(DataType.FP32);

        /// <inheritdoc/>
        public override int ByteSize => checked(Values.Length * sizeof(float));

        /// <inheritdoc/>
        public override void WriteBytes(Span<byte> bytes) => MemoryMarshal.AsBytes(Values.Span).CopyTo(bytes);

        /// <inheritdoc/>
        public override void WriteValues(Utf8JsonWriter json)
        {
            foreach (var value in Values.Span)
                json.WriteNumberValue(value);
        }
    }

    /// <summary>INT8 or INT32.</summary>
    public sealed record Integers(string Name, long[] Shape, int[] Values, DataType Type, bool IsBinary) : OutputTensor(Name, Shape, IsBinary)
    {
        /// <inheritdoc/>
        public override string TypeName => DataTypes.NameOf(Type);

        /// <inheritdoc/>
        public override int ByteSize => checked(Values.Length * DataTypes.SizeOf(Type));

        /// <inheritdoc/>
        public override void WriteBytes(Span<byte> bytes)
        {
            if (Type == DataType.Int8)
            {
                for (var i = 0; i < Values.Length; i++)
                    bytes[i] = unchecked((byte)Values[i]);
                return;
            }
            MemoryMarshal.AsBytes(Values.AsSpan()).CopyTo(bytes);
        }

        /// <inheritdoc/>
        public override void WriteValues(Utf8JsonWriter json)
        {
            foreach (var value in Values)
                json.WriteNumberValue(value);
        }
    }

    /// <summary>One whose values are in shared memory.</summary>
    public sealed record Shared(OutputTensor Tensor, SharedPart Part) : OutputTensor(Tensor.Name, Tensor.Shape, false)
    {
        /// <inheritdoc/>
        public override string TypeName => Tensor.TypeName;

        /// <inheritdoc/>
        public override int ByteSize => 0;

        /// <inheritdoc/>
        public override void WriteBytes(Span<byte> bytes)
        {
        }

        /// <inheritdoc/>
        public override void WriteValues(Utf8JsonWriter json)
        {
        }
    }

    /// <summary>BYTES.</summary>
    public sealed record Texts(string Name, long[] Shape, string[] Values, bool IsBinary) : OutputTensor(Name, Shape, IsBinary)
    {
        /// <inheritdoc/>
        public override string TypeName => DataTypes.NameOf(DataType.Bytes);

        /// <inheritdoc/>
        public override int ByteSize => Values.Sum(text => checked(sizeof(int) + Encoding.UTF8.GetByteCount(text)));

        /// <inheritdoc/>
        public override void WriteBytes(Span<byte> bytes)
        {
            foreach (var text in Values)
            {
                var length = Encoding.UTF8.GetBytes(text, bytes[sizeof(int)..]);
                BinaryPrimitives.WriteInt32LittleEndian(bytes, length);
                bytes = bytes[(sizeof(int) + length)..];
            }
        }

        /// <inheritdoc/>
        public override void WriteValues(Utf8JsonWriter json)
        {
            foreach (var text in Values)
                json.WriteStringValue(text);
        }
    }
}
